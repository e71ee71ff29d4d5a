package app

import "time"

// RetryAfter sets the first pause after a failure.
func (k *HookKeeper) RetryAfter(pause time.Duration) { k.retry = pause }
