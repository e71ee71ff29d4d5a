package settings_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// oneChromium is the browser of all tabs. It takes a second to start, and ends with the tests.
var oneChromium = sync.OnceValues(startChromium)

// endChromium ends it, when it was started.
var endChromium = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	endChromium()
	os.Exit(code)
}

// startChromium returns the context that tabs are made of.
func startChromium() (context.Context, error) {
	program, err := findChromium()
	if err != nil {
		return nil, err
	}
	// No page is kept for going back, and no process for a page that may come: both cost more than the tests do.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-features", "Translate,BackForwardCache,SpareRendererForSitePerProcess"))
	allocated, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocated)
	if err := chromedp.Do(ctx); err != nil {
		end()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	endChromium = end
	return ctx, nil
}

func findChromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no Chromium: run scripts/setup test")
}
