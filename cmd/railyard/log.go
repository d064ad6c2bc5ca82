package main

import (
	"io"

	"github.com/sirupsen/logrus"
)

// quietLog is for commands that open the store themselves: only what a person must know.
func quietLog(w io.Writer) *logrus.Logger {
	logger := logrus.New()
	logger.SetOutput(w)
	logger.SetLevel(logrus.WarnLevel)
	logger.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true})
	return logger
}
