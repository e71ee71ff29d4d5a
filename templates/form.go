package templates

import (
	"fmt"
	"net/url"
)

// Form is what somebody typed and what is wrong with it, so that a page can show both again.
type Form struct {
	Values  url.Values
	Errors  []FieldError // in the order of the fields
	Resumed bool         // it was sent too late to count, and waits to be sent again
}

// FieldError is what is wrong with one field.
type FieldError struct {
	Field   string
	Message Message
}

// Get returns a field's value as it was typed.
func (f *Form) Get(name string) string { return f.Values.Get(name) }

// Is tells whether a field has this value among its own: for radios and checkboxes.
func (f *Form) Is(name, value string) bool {
	for _, v := range f.Values[name] {
		if v == value {
			return true
		}
	}
	return false
}

// Fail notes that a field is wrong, unless it is known of it already.
func (f *Form) Fail(field, key string, values ...any) {
	f.Refuse(field, Message{Key: key, Values: values})
}

// Refuse is Fail for a message.
func (f *Form) Refuse(field string, m Message) {
	if f.Error(field) == nil {
		f.Errors = append(f.Errors, FieldError{field, m})
	}
}

// Error returns what is wrong with a field, nil when nothing is.
func (f *Form) Error(name string) *Message {
	for i, e := range f.Errors {
		if e.Field == name {
			return &f.Errors[i].Message
		}
	}
	return nil
}

// Valid tells whether nothing is wrong and what it says may be done.
func (f *Form) Valid() bool { return len(f.Errors) == 0 && !f.Resumed }

// Field is a field of a form as the templates "input", "area" and so on want it. Its texts are f.NAME.label and f.NAME.hint;
// with "text" among the options, f.TEXT.label and f.TEXT.hint.
type Field struct {
	Name, Text string
	ID         string
	Value      string
	Error      *Message
	Form       *Form
	Options    map[string]any // "type", "autocomplete", "optional", "values" for the texts' placeholders …
}

// newField is the template function "field": a form, a name, and options by name and value.
func newField(form *Form, name string, options ...any) (Field, error) {
	o, err := dict(options...)
	if err != nil {
		return Field{}, fmt.Errorf("field %s: %w", name, err)
	}
	f := Field{Name: name, Text: name, ID: "f-" + name, Value: form.Get(name), Error: form.Error(name), Form: form, Options: o}
	if text, ok := o["text"].(string); ok {
		f.Text = text
	}
	return f, nil
}

// Described are the ids of what is said of the field, for aria-describedby; "" when nothing is.
func (f Field) Described(hint bool) string {
	switch {
	case f.Error != nil && hint:
		return f.ID + "-hint " + f.ID + "-error"
	case f.Error != nil:
		return f.ID + "-error"
	case hint:
		return f.ID + "-hint"
	}
	return ""
}
