package deploy

// Tail is a writer that keeps the last OutputLimit bytes, in which commands say why they failed.
type Tail struct{ kept []byte }

// Write implements io.Writer and never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if len(t.kept) > 2*OutputLimit {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-OutputLimit:]...)
	}
	return len(p), nil
}

// String returns what was kept.
func (t *Tail) String() string { return string(t.kept[max(0, len(t.kept)-OutputLimit):]) }
