// Package layering holds the tests of the code's own shape: which package may import which, that each says what it is for,
// and that no file outgrows its reader. It imports nothing but the standard library, and has no code of its own.
package layering
