package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// picture is what a page looks like.
type picture struct {
	name string
	png  []byte
}

// pages are reached from the overview, by links that are followed one after the other; then something is scrolled to.
var pages = []struct {
	name  string
	links []string
	show  string
}{
	{name: "overview"},
	{name: "deployment", links: []string{`tbody a[href^="/workloads/"]`, `a[href$="/deployments/2"]`}},
	{name: "workload-form", links: []string{`a[href="/workloads/new"]`, `a[href^="/workloads/new?repo="]`}, show: ".panel"},
}

// take signs in by the link and takes all pictures, with a browser whose files are in dir.
func take(ctx context.Context, dir, link string) ([]picture, error) {
	program, err := chromium()
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.UserDataDir(dir))
	ctx, cancel := chromedp.NewExecAllocator(ctx, options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := signIn(ctx, link); err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	var all []picture
	for _, page := range pages {
		if err := follow(ctx, append([]string{`.bar a[href="/workloads"]`}, page.links...)); err != nil {
			return nil, fmt.Errorf("open %s: %w", page.name, err)
		}
		if page.show != "" {
			if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).scrollIntoView()", page.show))); err != nil {
				return nil, fmt.Errorf("scroll %s: %w", page.name, err)
			}
		}
		shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil {
			return nil, fmt.Errorf("take picture of %s: %w", page.name, err)
		}
		all = append(all, picture{name: page.name, png: shot})
	}
	return all, nil
}

func chromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium: run scripts/setup test")
}

// signIn makes the first administrator, in English and in a window of the pictures' size.
func signIn(ctx context.Context, link string) error {
	language := network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": "en"}}
	if _, err := chromedp.Call(ctx, network.SetExtraHTTPHeaders, language); err != nil {
		return err
	}
	window := emulation.SetDeviceMetricsOverrideParams{Width: 1280, Height: 800, DeviceScaleFactor: 1}
	if _, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, window); err != nil {
		return err
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(link), chromedp.SendKeys("[name=password]", "correct horse battery staple")); err != nil {
		return err
	}
	_, err := chromedp.RunResponse(ctx, chromedp.Click("button.primary", chromedp.NodeVisible))
	return err
}

// follow opens what one link after the other leads to. It clicks none: a live page may replace one under the hand.
func follow(ctx context.Context, links []string) error {
	for _, link := range links {
		address, err := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf("document.querySelector(%q).href", link)))
		if err != nil {
			return fmt.Errorf("find %s: %w", link, err)
		}
		answer, err := chromedp.RunResponse(ctx, chromedp.Navigate(address))
		if err != nil {
			return fmt.Errorf("open %s: %w", address, err)
		}
		if answer == nil || answer.Status >= 400 {
			return fmt.Errorf("open %s: it answers %+v", address, answer)
		}
	}
	return nil
}
