// Package deploytest has a Router and a Runtime that fail or die where a test wants them to, and the suites that they
// pass like the real ones.
package deploytest
