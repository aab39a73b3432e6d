// Package language says what the definition language is, out of what the proto says of it: the keys of each message with
// their types, defaults, limits and meaning. From that it makes the tables of docs/definitions.md, and the JSON Schema by
// which editors complete and check definitions.
//
// Types and limits come from descriptors and their validation rules, words from the comments of definition.proto. It may
// import package feature, for the closed lists of words, and generated code.
//
// A comment on a field is Markdown. Sentences of two kinds are told apart: `Absent: WORDS.` (or `Default WORDS.`) is what
// holds when the key is not there, and `Required.` says that it must be, where no rule does.
package language
