package settings

// Patterns are the addresses of all pages, as the mux knows them.
func (s *Settings) Patterns() []string {
	all := []string{"GET /"} // says that there is no such page
	for _, rt := range s.routes() {
		all = append(all, rt.pattern)
	}
	return all
}
