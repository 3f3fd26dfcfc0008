package configs

import (
	"path"

	"lithos/configs/files"
)

// ImageFile names a file inside of an image, as [Options].ReadImages gets it.
type ImageFile struct {
	ImageDir string // of the sandbox config, absolute
	Image    string // the name of a directory below it
	File     string // resolved with that as the root
}

// ImageText is what is in such a file, or why that can't be told.
type ImageText struct {
	Text       []byte
	ImageError string // the image can't be opened
	FileError  string // the file can't be read
	// Link tells of a symbolic link on the way to a file that can't be read, as
	// the end of a sentence.
	Link string
}

// ReadImageFile reads a config inside of an image, which is hostile: as the
// container would see it, a regular file of a bounded size. It takes as long as
// the image's file system does.
func ReadImageFile(f ImageFile) ImageText {
	img, err := files.OpenImage(f.ImageDir, f.Image)
	if err != nil {
		return ImageText{ImageError: err.Error()}
	}
	defer img.Close()
	data, err := img.ReadFile(f.File)
	if err != nil {
		return ImageText{FileError: err.Error(), Link: img.LinkOn(f.File)}
	}
	return ImageText{Text: data}
}

// read gives a file of an image, which mostly was read already.
func (l *loader) read(f ImageFile) ImageText {
	if _, ok := l.texts[f]; !ok {
		l.readAll([]ImageFile{f})
	}
	return l.texts[f]
}

// readAll reads files that were not read before.
func (l *loader) readAll(files []ImageFile) {
	if l.ReadImages != nil && len(files) > 0 {
		for i, text := range l.ReadImages(files) {
			l.texts[files[i]] = text
		}
		return
	}
	for _, f := range files {
		l.texts[f] = ReadImageFile(f)
	}
}

// readImages reads what all processes need of their images, together: so those
// that do not answer are waited for once.
func (l *loader) readImages(sandboxes []*sandboxRead) {
	if l.ReadImages == nil {
		return // one by one will do, and holds less in memory
	}
	wanted := map[ImageFile]bool{}
	var configs, secrets []ImageFile
	for _, s := range sandboxes {
		for _, e := range s.entries {
			if e.cfg == nil || checkImageName(e.cfg.Image, s.Config.ImageDirLevels) != nil {
				continue
			}
			if f := (ImageFile{s.Config.ImageDir, e.cfg.Image, e.cfg.Config}); !wanted[f] {
				wanted[f] = true
				configs = append(configs, f)
			}
		}
	}
	l.readAll(configs)
	for _, f := range configs {
		found := l.texts[f]
		if found.ImageError != "" || found.FileError != "" {
			continue
		}
		t := l.parse(path.Join(f.ImageDir, f.Image, f.File), found.Text)
		if t.fixed.SecretEnvironFile == "" || t.broken {
			continue
		}
		secret := ImageFile{f.ImageDir, f.Image, secretFile(t.fixed.SecretEnvironFile, f.File)}
		if !wanted[secret] {
			wanted[secret] = true
			secrets = append(secrets, secret)
		}
	}
	l.readAll(secrets)
}
