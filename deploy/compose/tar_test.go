package compose

import (
	"archive/tar"
	"io"
	"os"
)

func tarFolder(w io.Writer, dir string) error {
	out := tar.NewWriter(w)
	if err := out.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	return out.Close()
}
