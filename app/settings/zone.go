package settings

// zone is the time zone that times are shown in.
func (s *Settings) zone() string { return "Local" }
