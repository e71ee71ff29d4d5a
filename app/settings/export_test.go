package settings

import "github.com/alexedwards/argon2id"

// HashCheaply makes new hashes of passwords cost next to nothing: most tests sign somebody in, and few are about that.
func (s *Settings) HashCheaply() {
	s.hash.params = argon2id.Params{Memory: 8, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

// WaitForDisk waits until what is free on the disk is known that a page has asked for.
func (s *Settings) WaitForDisk() { s.disk.asking.Wait() }

// Patterns are the addresses of all pages, as the mux knows them.
func (s *Settings) Patterns() []string {
	all := []string{"GET /"} // says that there is no such page
	for _, rt := range s.routes() {
		all = append(all, rt.pattern)
	}
	return all
}
