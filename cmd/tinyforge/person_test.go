package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// person is somebody in front of a real browser, who reads pages and nothing else. What they do is counted.
type person struct {
	*testing.T
	ctx            context.Context
	say            steps
	clicks, fields int
}

// newPerson opens a browser that is set to a language. Without script nothing of ours runs in it.
func newPerson(t *testing.T, say steps, script bool) *person {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("there is no Chromium: run scripts/setup test: %v", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.UserDataDir(t.TempDir()))
	allocated, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	p := &person{T: t, ctx: ctx, say: say}
	size := emulation.SetDeviceMetricsOverrideParams{Width: 1280, Height: 900, DeviceScaleFactor: 1}
	_, err = chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, size)
	if err == nil {
		_, err = chromedp.Call(ctx, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": say.lang}})
	}
	if err == nil {
		_, err = chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !script})
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// askPage runs an action and returns what it finds.
func askPage[R any](p *person, action chromedp.Action[R]) R {
	p.Helper()
	result, err := chromedp.Run(p.ctx, action)
	if err != nil {
		p.Fatalf("at %s: %v", p.at(), err)
	}
	return result
}

func (p *person) do(actions ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.Fatalf("at %s: %v", p.at(), err)
	}
}

func (p *person) at() string {
	url, _ := chromedp.Run(p.ctx, chromedp.Location())
	return url
}

// opens enters an address by hand, again where a network of containers came or went meanwhile: Chromium gives up then what it loads.
func (p *person) opens(url string) {
	p.Helper()
	err := chromedp.Do(p.ctx, chromedp.Navigate(url))
	for err != nil && strings.Contains(err.Error(), "ERR_NETWORK_CHANGED") {
		err = chromedp.Do(p.ctx, chromedp.Navigate(url))
	}
	if err != nil {
		p.Fatalf("open %s: %v", url, err)
	}
}

// presses clicks the visible button or link that is called so, and waits for the page that it leads to.
func (p *person) presses(text string) {
	p.Helper()
	p.clicks++
	query := fmt.Sprintf(`//*[self::button or self::a][normalize-space()=%q]`, text)
	_, err := chromedp.RunResponse(p.ctx, chromedp.Click(query, chromedp.NodeVisible))
	if err != nil && strings.Contains(err.Error(), "node with given id") { // a live page has replaced it meanwhile
		_, err = chromedp.RunResponse(p.ctx, chromedp.Click(query, chromedp.NodeVisible))
	}
	if err != nil {
		p.Fatalf("press %q at %s: %v\n%s", text, p.at(), err, p.reads())
	}
}

// picks clicks what does not lead to another page.
func (p *person) picks(selector string) {
	p.Helper()
	p.clicks++
	p.do(chromedp.Click(selector, chromedp.NodeVisible))
}

// types fills in a field, whatever is in it.
func (p *person) types(field, text string) {
	p.Helper()
	p.fields++
	selector := fmt.Sprintf("[name=%q]:not([type=hidden])", field)
	p.do(chromedp.Clear(selector), chromedp.SendKeys(selector, text))
}

// reads is what the page says.
func (p *person) reads() string { p.Helper(); return askPage(p, chromedp.Text("body")) }

// sees waits until the page says all of this, which it may do by itself after a while.
func (p *person) sees(words ...string) {
	p.Helper()
	defer func() {
		if p.Failed() {
			p.picture("failed")
		}
	}()
	for _, word := range words {
		await(p.T, fmt.Sprintf("%s says %q", p.at(), word), func() bool {
			text, err := chromedp.Run(p.ctx, chromedp.Text("body")) // fails while the page is replaced
			return err == nil && strings.Contains(text, word)
		})
	}
}

// picture saves what the page looks like, where a folder for pictures is given in the environment.
func (p *person) picture(name string) {
	p.Helper()
	folder := os.Getenv("TINYFORGE_TEST_PICTURES")
	if folder == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(folder, "run-"+p.say.lang+"-"+name+".png"), askPage(p, chromedp.FullScreenshot(100)), 0o600); err != nil {
		p.Fatal(err)
	}
}
