package settings

// CheckStreams has streams look at each change whether they may go on.
func (s *Settings) CheckStreams() { s.recheck = 0 }
