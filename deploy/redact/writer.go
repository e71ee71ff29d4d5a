package redact

import "io"

// settled is how many characters of a secret are taken for a coincidence when nothing follows them for a while.
const settled = 4

// Writer writes to another writer what is written to it, without secrets, however they are spread over the calls. It keeps
// back what could be the beginning of one. It is not safe for concurrent use.
type Writer struct {
	redactor *Redactor
	to       io.Writer
	buffer   []byte
	out      int    // bytes at the buffer's beginning that were dealt with
	name     string // of the secret that ends there; "" when what is there was written as it is
	err      error
}

// NewWriter returns a Writer of which nothing is kept back once it is closed.
func NewWriter(to io.Writer, r *Redactor) *Writer { return &Writer{redactor: r, to: to} }

// Use makes r what is looked for from now on, in what was kept back too.
func (w *Writer) Use(r *Redactor) { w.redactor = r }

// Write returns the first error of the writer behind.
func (w *Writer) Write(p []byte) (int, error) {
	w.buffer = append(w.buffer, p...)
	w.pass(false)
	return len(p), w.err
}

// Settle writes what is kept back, unless it is more of a secret than a coincidence. Should the rest of a secret follow, at
// least that is not written.
func (w *Writer) Settle() error {
	if w.redactor == nil || w.out == len(w.buffer) {
		return w.err
	}
	if _, _, open := w.at(0); open > 0 && open < settled {
		w.emit(w.buffer[w.out:])
		w.out = len(w.buffer)
	}
	return w.err
}

// drop leaves out what Settle keeps back: nothing will follow it.
func (w *Writer) drop() {
	_ = w.Settle()
	w.buffer, w.out = w.buffer[:0], 0
}

// Flush writes all that is kept back. What is written later is a text of its own.
func (w *Writer) Flush() error {
	w.pass(true)
	return w.err
}

func (w *Writer) at(i int) (n int, name string, open int) { return w.redactor.longest(w.buffer[i:]) }

// pass deals with the buffer, as far as it is known what stands there. At the end, all is.
func (w *Writer) pass(end bool) {
	i, done := 0, w.out
	if w.redactor == nil {
		i = len(w.buffer)
	}
	for ; i < len(w.buffer); i++ {
		n, name, open := w.at(i)
		if open > 0 && !end {
			break
		}
		if n > 0 && i+n > done {
			w.emit(w.buffer[done:max(done, i)])
			w.mark(name)
			done = i + n
		}
	}
	if done < i {
		w.emit(w.buffer[done:i])
		done = i
	}
	w.buffer, w.out = append(w.buffer[:0], w.buffer[i:]...), done-i
	if end {
		w.name = ""
	}
}

// emit writes text that is no secret.
func (w *Writer) emit(text []byte) {
	if len(text) > 0 && w.err == nil {
		_, w.err = w.to.Write(text)
		w.name = ""
	}
}

// mark writes the name of a secret, once for parts of one that follow each other.
func (w *Writer) mark(name string) {
	if w.err == nil && w.name != name {
		_, w.err = io.WriteString(w.to, "[secret "+name+"]")
		w.name = name
	}
}
