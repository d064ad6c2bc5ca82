// Scoregen writes the labelled series that the judge is scored on: one small file per shape, of five seeds each.
//
//	go run ./internal/rollmon/scoregen [-o internal/rollmon/testdata/series] [-seeds 5]
//
// The same program writes the same bytes every time; a test of rollmon compares them. After a change of package score run it
// again, look at what the test prints, and commit series and floors together.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"railyard/internal/rollmon/score"
)

func main() {
	dir := flag.String("o", "internal/rollmon/testdata/series", "directory to write to")
	seeds := flag.Uint64("seeds", 5, "series per shape")
	flag.Parse()
	if err := write(*dir, *seeds); err != nil {
		fmt.Fprintln(os.Stderr, "scoregen:", err)
		os.Exit(1)
	}
}

func write(dir string, seeds uint64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, shape := range score.Shapes() {
		var all []score.Series
		for seed := uint64(1); seed <= seeds; seed++ {
			all = append(all, shape.Generate(seed))
		}
		f, err := os.Create(filepath.Join(dir, shape.File()))
		if err != nil {
			return err
		}
		if err := shape.Write(f, all); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}
