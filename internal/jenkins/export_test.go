package jenkins

import "time"

// SetSettle shortens the moment that Find gives a build to appear.
func (c *Controller) SetSettle(d time.Duration) { c.settle = d }
