package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
)

// checkBackup reads all of a backup, and demands that it is whole.
func checkBackup(file string) (head backupHead, err error) {
	err = readBackup(file, &head, func(backupLine) error { return nil })
	return head, err
}

// readBackup gives each line of a backup to use but the last, with which it compares.
func readBackup(file string, head *backupHead, use func(backupLine) error) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("read backup: %w", err)
	}
	defer f.Close()
	file = called(file)
	packed, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s is no backup of Tinyforge", file)
	}
	in, sum := bufio.NewReader(packed), sha256.New()
	if err := nextLine(in, sum, head); err != nil || head.Format != backupFormat {
		return fmt.Errorf("%s is no backup of Tinyforge, or one of a newer version", file)
	}
	for {
		before := hex.EncodeToString(sum.Sum(nil))
		var line backupLine
		if err := nextLine(in, sum, &line); err != nil {
			return fmt.Errorf("the backup in %s is damaged, or its end is missing: %w", file, err)
		}
		if line.SHA256 == "" {
			if err := use(line); err != nil {
				return err
			}
			continue
		}
		if _, err := in.ReadByte(); line.SHA256 != before || !errors.Is(err, io.EOF) {
			return fmt.Errorf("the backup in %s is damaged: its checksum is another", file)
		}
		return nil
	}
}

func nextLine(in *bufio.Reader, sum hash.Hash, v any) error {
	var text []byte
	for full := true; full; {
		part, err := in.ReadSlice('\n')
		if text = append(text, part...); len(text) > mostLine {
			return errLine
		}
		if full = errors.Is(err, bufio.ErrBufferFull); err != nil && !full {
			return err
		}
	}
	_, _ = sum.Write(text)
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}
