package templates

import (
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func styleSheet(t *testing.T) string {
	t.Helper()
	raw, err := fs.ReadFile(staticFiles, "static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestStaticFilesStaySmall(t *testing.T) {
	for name, limit := range map[string]int64{"static/style.css": 12 << 10, "static/script.js": 10 << 10} {
		info, err := fs.Stat(staticFiles, name)
		if err != nil || info.Size() > limit {
			t.Errorf("%s: %d bytes (%v), at most %d", name, info.Size(), err, limit)
		}
	}
}

// TestContrast computes the contrast of every pair of colours that meet, by WCAG 2.2: 4.5 for text, 3 for controls.
func TestContrast(t *testing.T) {
	style := styleSheet(t)
	light := colours(style[:strings.Index(style, "@media")])
	dark := colours(style[strings.Index(style, "@media"):strings.Index(style, "*, ::before")])
	for theme, c := range map[string]map[string]float64{"light": light, "dark": dark} {
		if len(c) != 22 {
			t.Errorf("%s has %d colours", theme, len(c))
		}
		for _, pair := range []struct {
			front, back string
			least       float64
		}{
			{"text", "bg", 4.5}, {"text", "surface", 4.5}, {"text", "log", 4.5}, {"muted", "bg", 4.5}, {"muted", "surface", 4.5}, {"muted", "log", 4.5},
			{"link", "bg", 4.5}, {"link", "surface", 4.5}, {"on-link", "link", 4.5}, {"on-bad", "bad", 4.5}, {"bad", "bg", 4.5},
			{"ok", "ok-bg", 4.5}, {"run", "run-bg", 4.5}, {"warn", "warn-bg", 4.5}, {"bad", "bad-bg", 4.5}, {"neu", "neu-bg", 4.5}, {"back", "back-bg", 4.5},
			{"bad", "log", 4.5}, {"warn", "log", 4.5}, {"ok", "log", 4.5}, {"run", "log", 4.5}, {"control", "bg", 3}, {"control", "surface", 3},
		} {
			if got := contrast(c[pair.front], c[pair.back]); got < pair.least {
				t.Errorf("%s: %s on %s has %.2f, at least %.1f", theme, pair.front, pair.back, got, pair.least)
			}
		}
	}
}

// TestColoursAreTokens: outside of the tokens no colour is written.
func TestColoursAreTokens(t *testing.T) {
	style := styleSheet(t)
	rest := style[strings.Index(style, "*, ::before"):]
	if found := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|rgb\(|hsl\(`).FindString(rest); found != "" {
		t.Errorf("a colour beside the tokens: %s", found)
	}
}

// colours are the luminances of the tokens.
func colours(style string) map[string]float64 {
	all := map[string]float64{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(style, -1) {
		var l float64
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			n, _ := strconv.ParseUint(m[2][2*i:2*i+2], 16, 8)
			c := float64(n) / 255
			if c <= 0.04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			l += weight * c
		}
		all[m[1]] = l
	}
	return all
}

func contrast(a, b float64) float64 { return (max(a, b) + 0.05) / (min(a, b) + 0.05) }
