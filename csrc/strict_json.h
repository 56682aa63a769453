/* A strict reader of JSON (RFC 8259) in memory, for files that are not trusted. It allocates nothing.
 *
 * A cursor is at a value of the text, and functions read that value and move the cursor behind it. They return whether
 * that went well; after an error the cursor must not be used any more, and its `error` says what was expected. Text
 * must be UTF-8. Numbers must be finite, integers have at most 20 digits, other numbers at most 400 characters; values
 * are at most 32 levels deep; escapes must stand for Unicode characters. Used by model_file.c only. */
#ifndef FML_STRICT_JSON_H
#define FML_STRICT_JSON_H

#include "include/fastmlp.h"

typedef struct {
    const char *at, *end;
    const char *part;     /* of the file, for messages */
    fastmlp_error *error; /* receives the first error */
} fml_json;

/* A cursor at the value that fills the text from begin to end. */
fml_json fml_json_at(const char *begin, const char *end, const char *part, fastmlp_error *error);
/* Write an error of that status, "<part>: <message>"; returns 0. Characters that are not printable become '?'. */
int fml_json_refuse(fml_json *json, fastmlp_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* Whether the whole text is one value, checked to its end. The cursor stays where it is. */
int fml_json_check(const fml_json *json);
/* Whether the value at the cursor begins with that character: one of { [ " n t f, or 0 for a number. */
int fml_json_is(const fml_json *json, char kind);

int fml_json_skip(fml_json *json);
/* Read a string, decoded to UTF-8, into text with a 0 at its end. A longer one is cut to the capacity, 1 or more, but
 * *length is always that of all of it; `length` may be NULL. */
int fml_json_string(fml_json *json, char *text, size_t capacity, size_t *length);
/* Like fml_json_string; refuses what does not fit the capacity or has a 0 within. */
int fml_json_word(fml_json *json, char *word, size_t capacity);
int fml_json_number(fml_json *json, double *value);
/* Read an integer of 0 ... maximum. */
int fml_json_size(fml_json *json, size_t *value, size_t maximum);

/* Enter an object or an array, and move on to its next element. In an object the cursor is then at a key.
 *
 *     size_t n = 0;
 *     while (fml_json_next(json, '[', &n)) ... read one value ...
 *     if (n == FML_JSON_FAILED) return 0;
 *
 * n counts the elements; it is 0 at first. At the end, the cursor is behind the array. */
#define FML_JSON_FAILED ((size_t)-1)
int fml_json_next(fml_json *json, char kind, size_t *n);
/* Read a key of an object and the colon. A key that does not fit the capacity, or has a 0 within, becomes empty. */
int fml_json_key(fml_json *json, char *key, size_t capacity);
/* Read an object: values[i] becomes a cursor at the value of the key names[i], or has at == NULL without such a key. A
 * key that is not among the names or comes twice is refused. names ends with NULL; an element's part is its name. */
int fml_json_fields(fml_json *json, const char *const *names, fml_json *values);

#endif
