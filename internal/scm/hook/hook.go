// Package hook holds the post-receive hook that tells Railyard about a push to a plain bare repository, for which no code host
// would send a webhook. The generic provider of package scm reads what it sends.
package hook

import _ "embed"

//go:embed post-receive
var script string

// Script returns the hook: a POSIX shell script to be installed as hooks/post-receive with mode 0755. Its head says how to configure it.
func Script() string { return script }
