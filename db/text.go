package db

import (
	"strings"
	"unicode/utf8"
)

// clean makes text that came from elsewhere storable: valid UTF-8 without NUL, which PostgreSQL does not take.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
}

// cut shortens text to at most length bytes, between two characters.
func cut(text string, length int) string {
	if len(text) <= length {
		return text
	}
	for n := length; n > length-utf8.UTFMax; n-- {
		if utf8.RuneStart(text[n]) {
			return text[:n]
		}
	}
	return text[:length]
}

func (del *Delivery) clean() {
	for _, text := range []*string{&del.ExternalID, &del.Event, &del.Ref, &del.Before, &del.After, &del.Decision} {
		*text = clean(*text)
	}
}

func (dep *Deployment) clean() {
	for _, text := range []*string{&dep.Ref, &dep.Commit, &dep.Message, &dep.Author, &dep.Error, &dep.Tail} {
		*text = clean(*text)
	}
}
