package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tinyforge/deploy/redact"
)

const key = `-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj
MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu
NMoSfm76oqFvAp8Gy0iz5sxjZmSnXyCdPEovGhLa0VzMaQ8s+CLOyS56YyCFGeJZ
qgtz
-----END PRIVATE KEY-----
`

// forms are how programs print a text.
func forms() map[string]func(string) string {
	inJSON := func(s string, html bool) string {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(html)
		_ = e.Encode(s)
		return unquoted(strings.TrimSuffix(b.String(), "\n"))
	}
	return map[string]func(string) string{
		"raw":             func(s string) string { return s },
		"query":           url.QueryEscape,
		"path":            url.PathEscape,
		"lower hex":       func(s string) string { return lowerEscapes(url.QueryEscape(s)) },
		"all escaped":     func(s string) string { return each(s, func(b byte) string { return fmt.Sprintf("%%%02X", b) }) },
		"json":            func(s string) string { return inJSON(s, false) },
		"json for html":   func(s string) string { return inJSON(s, true) },
		"json in ascii":   func(s string) string { return unquoted(strconv.QuoteToASCII(s)) },
		"json, u only":    unicodeEscaped,
		"json twice":      func(s string) string { return inJSON(inJSON(s, true), false) },
		"shell":           func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" },
		"hex":             func(s string) string { return hex.EncodeToString([]byte(s)) },
		"HEX":             func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
		"base64":          func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64 raw":      func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
		"base64 url":      func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
		"base64 rawurl":   func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
		"basic auth":      func(s string) string { return base64.StdEncoding.EncodeToString([]byte("user:" + s)) },
		"within base64":   func(s string) string { return base64.URLEncoding.EncodeToString([]byte("ab" + s + "xyz")) },
		"escaped base64":  func(s string) string { return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))) },
		"wrapped base64":  func(s string) string { return wrap(base64.StdEncoding.EncodeToString([]byte(s)), 76, "\n") },
		"indented base64": func(s string) string { return wrap(base64.StdEncoding.EncodeToString([]byte(s)), 76, "\n    ") },
		"wrapped at 20":   func(s string) string { return wrap(base64.StdEncoding.EncodeToString([]byte(s)), 20, "\r\n") },
	}
}

func unquoted(s string) string { return s[1 : len(s)-1] }

func lowerEscapes(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

func each(s string, f func(byte) string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString(f(s[i]))
	}
	return b.String()
}

func unicodeEscaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r > 0xffff {
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04X`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func wrap(s string, width int, end string) string {
	var lines []string
	for chunk := range slices.Chunk([]byte(s), width) {
		lines = append(lines, string(chunk))
	}
	return strings.Join(lines, end)
}

// TestForms: every form of every secret, alone in the text, is replaced by the name; of base64 up to three characters at
// either end may stay, which hold a few bits of the secret's first and last byte.
func TestForms(t *testing.T) {
	secrets := map[string]string{
		"SHORT": "s3cr3t", "TOKEN": "ghp_" + strings.Repeat("aB3+/", 8), "ODD": `p"a'ss\w/o r+d%<&>ü𝄞`,
		"URL": "postgres://app:hunter22@db/app?x=1&y=2", "KEY": key, "LONG": strings.Repeat("0123456789üöä", 30),
	}
	for name, secret := range secrets {
		r := redact.New(redact.Secret{Name: name, Value: secret})
		for form, make := range forms() {
			text := make(secret)
			got := r.String("before " + text + "\nafter")
			rest := strings.NewReplacer("before ", "", "after", "", "[secret "+name+"]", "", "\n", "", "=", "", "'", "", "%3D", "", "\r", "",
				`\\\\n`, "", `\n`, "", "%0A", "", "%0a", "", "-----BEGIN PRIVATE KEY-----", "", "-----END PRIVATE KEY-----", "").Replace(got)
			if !strings.Contains(got, "[secret "+name+"]") || len(rest) > leftover(form) {
				t.Errorf("%s, %s: %q became %q", name, form, text, got)
			}
		}
	}
}

// leftover is how many characters of a form may stay.
func leftover(form string) int {
	switch {
	case form == "basic auth":
		return 7 + 3 + 2 // of the user's name too
	case form == "within base64":
		return 3 + 3 + 5
	case strings.Contains(form, "base64"), form == "wrapped at 20":
		return 2
	case form == "json twice", form == "json, u only":
		return 6 // a line end at the end
	case form == "all escaped", form == "hex", form == "HEX":
		return 3
	}
	return 0
}

// TestWhatStays: nothing else is touched.
func TestWhatStays(t *testing.T) {
	r := redact.New(redact.Secret{Name: "A", Value: "s3cr3t-value"}, redact.Secret{Name: "TINY", Value: "xyz"})
	for _, text := range []string{
		"", "s3cr3t-valu", "xyz and s3cr3t", "%", "\\", "\\u", "\\u00", "%7", "'", "'\\'", "s3cr3t-\n", "a\n\n\nb", "\x00\xff\xfe", "s", "ü",
		"-----BEGIN PRIVATE KEY-----\n",
	} {
		if got := r.String(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	var none *redact.Redactor
	if got := none.String("text"); got != "text" || redact.New() != nil || redact.New(redact.Secret{Name: "X", Value: "123"}) != nil {
		t.Errorf("without secrets: %q", got)
	}
}

// TestOverlaps: secrets that overlap, touch or hold each other leave nothing.
func TestOverlaps(t *testing.T) {
	r := redact.New(redact.Secret{Name: "A", Value: "abcdefgh"}, redact.Secret{Name: "B", Value: "ghijklmn"}, redact.Secret{Name: "C", Value: "cdefgh"})
	for text, want := range map[string]string{
		"x abcdefghijklmn x": "x [secret A][secret B] x", "abcdefghabcdefgh": "[secret A]", "abcdefgh abcdefgh": "[secret A] [secret A]",
		"cdefgh": "[secret C]", "abcdefgh": "[secret A]", "abcdefghghijklmn": "[secret A][secret B]",
	} {
		if got := r.String(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// TestSettle: a line that only begins like a secret is not kept back for long; one that is half a secret is.
func TestSettle(t *testing.T) {
	var out bytes.Buffer
	w := redact.NewWriter(&out, redact.New(redact.Secret{Name: "A", Value: "password123"}))
	write := func(text, want string) {
		t.Helper()
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Settle(); err != nil || out.String() != want {
			t.Errorf("after %q there is %q, want %q", text, out.String(), want)
		}
	}
	write("map\n", "map\n")
	write("pass", "map\n")
	write("wo", "map\n")
	write("rd!", "map\npassword!")
	write(" pa\n", "map\npassword! pa\n")
	write("ssword123!", "map\npassword! pa\n[secret A]!")
	if err := w.Flush(); err != nil || out.String() != "map\npassword! pa\n[secret A]!" {
		t.Errorf("in the end: %q, %v", out.String(), err)
	}
}

func TestLinesAndMap(t *testing.T) {
	r := redact.New(redact.Secret{Name: "KEY", Value: key}, redact.Secret{Name: "P", Value: "hunter22"})
	if got := r.Lines([]string{"a hunter22", "b hunt", "er22"}); len(got) < 2 || strings.Contains(strings.Join(got, ""), "hunt") {
		t.Errorf("lines: %q", got)
	}
	for half := range len("hunter22") { // a line that is cut within a secret
		line := "xxxx" + "hunter22"[:half] + redact.Cut
		got := r.Lines([]string{line, "after"})
		if len(got) != 2 || got[1] != "after" || half >= 4 && got[0] != "xxxx"+redact.Cut || !strings.HasPrefix(got[0], "xxxx") {
			t.Errorf("cut after %d bytes of it: %q", half, got)
		}
	}
	if got := r.Map(map[string]string{"why": "no hunter22"}); got["why"] != "no [secret P]" {
		t.Errorf("values: %q", got)
	}
}

// FuzzRedact: whatever the secrets, the forms, and the chunks in which they come, nothing of a secret is left: six
// characters in a row in its own form, or what can be decoded to them.
func FuzzRedact(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed, "s3cr3t-"+strconv.FormatUint(seed*7919, 36), "words around")
	}
	f.Add(uint64(1), key, "-----BEGIN")
	f.Add(uint64(2), `\\\\\\\\`, `\\\\`)
	f.Add(uint64(3), "%41%41%41", "%41")
	f.Add(uint64(4), "''''''''", `'\''`)
	f.Add(uint64(5), "ß+ %\"'<\u2028𝄞x", "\u2028")
	all := forms()
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	f.Fuzz(func(t *testing.T, seed uint64, secret, around string) {
		if len(secret) > 2000 || len(around) > 2000 || len(strings.NewReplacer("\r", "", "\n", "").Replace(secret)) < redact.Shortest || strings.ToValidUTF8(secret, "") != secret {
			return
		}
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test that can be repeated
		other := fmt.Sprintf("other-%d", random.Uint64())
		r := redact.New(redact.Secret{Name: "_", Value: secret}, redact.Secret{Name: "_", Value: other})
		if r == nil {
			return
		}
		form := names[random.IntN(len(names))]
		shown := all[form](secret)
		text := around + "\x00" + shown + "\x00" + other + "\x00" + around
		var out bytes.Buffer
		w := redact.NewWriter(&out, r)
		for rest := []byte(text); len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(20))
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if whole := r.String(text); whole != out.String() {
			t.Fatalf("%s in chunks is\n%q, whole\n%q", form, out.String(), whole)
		}
		if strings.Contains(out.String(), other) || leaks(out.String(), secret, shown, form, around) {
			t.Fatalf("%q as %s leaks: %q", secret, form, out.String())
		}
	})
}

// leaks tells whether the form of a secret, without the ends that base64 shares with its neighbours, is in the text.
func leaks(text, secret, shown, form, around string) bool {
	if strings.Contains(around, shown) {
		return strings.Contains(text, shown)
	}
	if strings.Contains(form, "base64") || form == "basic auth" || form == "wrapped at 20" {
		front, back := 0, 5
		if form == "basic auth" || form == "within base64" {
			front, back = 8, 10
		}
		front += 2 * (len(secret) - len(strings.TrimLeft(secret, "\r\n"))) // line ends at its ends are no part of it
		back += 2 * (len(secret) - len(strings.TrimRight(secret, "\r\n")))
		if len(shown) >= front+back+6 { // fewer would stand elsewhere by chance
			shown = shown[front : len(shown)-back]
		}
	}
	// What is around it, and the mark, may hold the same characters.
	text = strings.TrimSuffix(strings.TrimPrefix(text, around), around)
	text = strings.ReplaceAll(text, "[secret _]", "\x00")
	return strings.Contains(text, shown)
}

func BenchmarkWriter(b *testing.B) {
	var log bytes.Buffer
	for i := 0; log.Len() < 1<<20; i++ {
		fmt.Fprintf(&log, "#%d %d.%03d npm http fetch GET 200 https://registry.example/package-%x 35ms (cache hit) step %d: compiling file%d.go\n",
			i%40, i%60, i%1000, i*2654435761, i, i%300)
	}
	for _, count := range []int{0, 1, 20, 200} {
		b.Run(fmt.Sprintf("%d secrets", count), func(b *testing.B) {
			var secrets []redact.Secret
			for i := range count {
				random := rand.New(rand.NewPCG(uint64(i), 2)) //nolint:gosec // a test that can be repeated
				secrets = append(secrets, redact.Secret{Name: fmt.Sprint("S", i), Value: fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64())})
			}
			r := redact.New(secrets...)
			b.SetBytes(int64(log.Len()))
			b.ReportAllocs()
			for b.Loop() {
				w := redact.NewWriter(discard{}, r)
				for chunk := range slices.Chunk(log.Bytes(), 4096) {
					if _, err := w.Write(chunk); err != nil {
						b.Fatal(err)
					}
				}
				if err := w.Flush(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
