package settings_test

import "testing"

func TestFirstSignInInABrowser(t *testing.T) {
	t.Parallel()
	for _, script := range []bool{true, false} {
		w := newWorld(t)
		c := w.tab("ru", script)
		token, err := w.db.NewSignInLink(t.Context(), 0)
		must(t, err)
		c.open("/setup?token=" + token)
		c.picture("setup")
		if script {
			c.accessible()
		}
		c.fits(320, 360, 768)
		c.fill("username", "Аня 🚀")
		c.fill("password", "коротко")
		c.press("Сохранить и продолжить")
		c.says("Исправьте 1 ошибку", "Не менее 12 символов")
		if script {
			c.accessible()
		}
		c.picture("setup-error")
		c.fill("password", password)
		c.press("Сохранить и продолжить")
		c.says("Начало работы", "Аня 🚀")
	}
}
