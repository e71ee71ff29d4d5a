//go:build !chaos

package main

import "testing"

func TestNoPointKills(t *testing.T) {
	if killPoint() != nil {
		t.Error("the program as it is built could be made to kill itself")
	}
}
