// Package shorten cuts texts to what the place where they are shown can hold.
package shorten

// Typed keeps a text that somebody typed in from filling a page.
func Typed(text string) string { return To(text, 80) }

// To returns at most so many characters of a text. One that was cut ends with "…".
func To(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}
