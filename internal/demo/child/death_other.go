//go:build !linux

package child

import "syscall"

// dieWithParent does nothing: only Linux has a parent-death signal. Elsewhere a killed parent leaves its children.
func dieWithParent(*syscall.SysProcAttr) {}
