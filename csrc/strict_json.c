/* The strict reader of JSON; its header has the rules. */
#include "strict_json.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 32, MAX_INTEGER_DIGITS = 20, MAX_NUMBER = 400, KEY_CAPACITY = 64 };

fml_json fml_json_at(const char *begin, const char *end, const char *part, fastmlp_error *error) {
    return (fml_json){begin, end, part, error};
}

int fml_json_refuse(fml_json *json, fastmlp_status status, const char *format, ...) {
    char *text = json->error->text;
    int n = snprintf(text, FASTMLP_ERROR_SIZE, "%s: ", json->part);
    va_list arguments;
    va_start(arguments, format);
    if (n >= 0 && n < FASTMLP_ERROR_SIZE) vsnprintf(text + n, (size_t)(FASTMLP_ERROR_SIZE - n), format, arguments);
    va_end(arguments);
    for (; *text != 0; text++)
        if (*text < ' ' || *text > '~') *text = '?';
    json->error->status = status;
    return 0;
}

static int refuse_syntax(fml_json *json, const char *expected) {
    return fml_json_refuse(json, FASTMLP_BAD_FILE, "expected JSON with %s, got something else", expected);
}

static void skip_blanks(fml_json *json) {
    while (json->at < json->end && *json->at != 0 && strchr(" \t\n\r", *json->at) != NULL) json->at++;
}

/* Move behind the character, and the blanks before it, if it comes next. */
static int take(fml_json *json, char wanted) {
    skip_blanks(json);
    if (json->at == json->end || *json->at != wanted) return 0;
    json->at++;
    return 1;
}

static int take_word(fml_json *json, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(json->end - json->at) < n || memcmp(json->at, word, n) != 0) return 0;
    json->at += n;
    return 1;
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

int fml_json_is(const fml_json *json, char kind) {
    fml_json here = *json;
    skip_blanks(&here);
    if (here.at == here.end) return 0;
    return kind != 0 ? *here.at == kind : *here.at == '-' || is_digit(*here.at);
}

/* -- strings ----------------------------------------------------------------------------------------------------- */

/* Decode one character of UTF-8, which must be valid (RFC 3629), and move behind it; -1 if it is not. */
static int32_t take_utf8(fml_json *json) {
    const unsigned char *p = (const unsigned char *)json->at;
    size_t left = (size_t)(json->end - json->at), n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    static const int32_t MIN[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (n > left || (p[0] >= 0x80 && p[0] < 0xc2) || p[0] > 0xf4) return -1;
    int32_t code = n == 1 ? p[0] : p[0] & (0x7f >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return -1;
        code = code << 6 | (p[i] & 0x3f);
    }
    if (code < MIN[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return -1;
    json->at += n;
    return code;
}

/* Decode the four digits of \uXXXX; -1 if they are not there. */
static int32_t take_four_digits(fml_json *json) {
    int32_t code = 0;
    if (json->end - json->at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = *json->at++;
        int digit = is_digit(c)            ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        code = code << 4 | digit;
    }
    return code;
}

/* Decode what follows a backslash; -1 if it is no escape, or half of a pair of surrogates. */
static int32_t take_escape(fml_json *json) {
    static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
    if (json->at == json->end) return -1;
    char c = *json->at++;
    const char *found = c == 0 ? NULL : strchr(FROM, c);
    if (found != NULL) return TO[found - FROM];
    int32_t high = c == 'u' ? take_four_digits(json) : -1;
    if (high < 0xd800 || high >= 0xe000) return high;
    if (high >= 0xdc00 || !take_word(json, "\\u")) return -1;
    int32_t low = take_four_digits(json);
    return low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((high - 0xd800) << 10 | (low - 0xdc00)) : -1;
}

/* Write a character as UTF-8; returns the number of bytes. */
static size_t to_utf8(int32_t code, char out[4]) {
    static const unsigned char LEAD[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(LEAD[n] | code);
    return n;
}

int fml_json_string(fml_json *json, char *text, size_t capacity, size_t *length) {
    size_t n = 0;
    if (!take(json, '"')) return refuse_syntax(json, "a string");
    while (json->at < json->end && *json->at != '"') {
        int32_t code = -1;
        if (*json->at == '\\') {
            json->at++;
            code = take_escape(json);
        } else if ((unsigned char)*json->at >= 0x20)
            code = take_utf8(json);
        if (code < 0) return refuse_syntax(json, "strings of Unicode characters");
        char bytes[4];
        size_t size = to_utf8(code, bytes);
        for (size_t i = 0; i < size; i++, n++)
            if (n + 1 < capacity) text[n] = bytes[i];
    }
    if (!take(json, '"')) return refuse_syntax(json, "strings that end");
    text[n < capacity ? n : capacity - 1] = 0;
    if (length != NULL) *length = n;
    return 1;
}

/* -- numbers ----------------------------------------------------------------------------------------------------- */

static const char *digits_from(const char *at, const char *end) {
    while (at < end && is_digit(*at)) at++;
    return at;
}

/* Find the end of the number at the cursor, and whether it is an integer; NULL if it is not written as JSON demands. */
static const char *number_end(const fml_json *json, int *integer) {
    const char *at = json->at, *end = json->end;
    if (at < end && *at == '-') at++;
    const char *first = at;
    at = digits_from(at, end);
    if (at == first || (*first == '0' && at > first + 1)) return NULL;
    *integer = 1;
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        at = digits_from(at, end);
        if (at == fraction) return NULL;
        *integer = 0;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        const char *exponent = at;
        at = digits_from(at, end);
        if (at == exponent) return NULL;
        *integer = 0;
    }
    return at;
}

/* strtod reads the decimal point of the program's locale, so the point is replaced by that. It is taken from a printed
 * number, because localeconv may not be called by two threads at once. */
static double decimal(const char *text, size_t n) {
    char copy[MAX_NUMBER + 16];
    char half[16]; /* 0.5: a digit, the point of up to 8 bytes, a digit */
    const char *dot = memchr(text, '.', n);
    size_t before = dot == NULL ? n : (size_t)(dot - text), size = (size_t)snprintf(half, sizeof half, "%.1f", 0.5) - 2;
    memcpy(copy, text, before);
    if (dot == NULL || size > 8) {
        copy[before] = 0;
        return size > 8 ? NAN : strtod(copy, NULL);
    }
    memcpy(copy + before, half + 1, size);
    memcpy(copy + before + size, dot + 1, n - before - 1);
    copy[n - 1 + size] = 0;
    return strtod(copy, NULL);
}

int fml_json_number(fml_json *json, double *value) {
    int integer;
    skip_blanks(json);
    const char *end = number_end(json, &integer);
    if (end == NULL) return refuse_syntax(json, "a number");
    size_t n = (size_t)(end - json->at), digits = n - (*json->at == '-');
    if (n > MAX_NUMBER || (integer && digits > MAX_INTEGER_DIGITS)) return refuse_syntax(json, "shorter numbers");
    *value = decimal(json->at, n);
    json->at = end;
    if (!isfinite(*value)) return refuse_syntax(json, "finite numbers");
    return 1;
}

int fml_json_size(fml_json *json, size_t *value, size_t maximum) {
    int integer;
    skip_blanks(json);
    const char *end = number_end(json, &integer);
    if (end == NULL || !integer || *json->at == '-') return refuse_syntax(json, "an integer of at least 0");
    for (*value = 0; json->at < end; json->at++) {
        size_t digit = (size_t)(*json->at - '0');
        if (digit > maximum || *value > (maximum - digit) / 10)
            return fml_json_refuse(json, FASTMLP_BAD_FILE, "expected an integer of at most %zu, got a larger one",
                                   maximum);
        *value = 10 * *value + digit;
    }
    return 1;
}

/* -- arrays, objects, values ------------------------------------------------------------------------------------- */

int fml_json_next(fml_json *json, char kind, size_t *n) {
    char close = kind == '[' ? ']' : '}';
    int is_ok = *n > 0 || take(json, kind);
    if (is_ok && take(json, close)) return 0;
    if (is_ok && *n > 0) is_ok = take(json, ',');
    if (!is_ok) {
        *n = FML_JSON_FAILED;
        return refuse_syntax(json, kind == '[' ? "an array" : "an object");
    }
    ++*n;
    return 1;
}

/* Whether a text of that length was cut, or has a 0 within. */
static int is_cut(const char *text, size_t length) { return strlen(text) != length; }

int fml_json_word(fml_json *json, char *word, size_t capacity) {
    size_t length;
    if (!fml_json_string(json, word, capacity, &length)) return 0;
    return !is_cut(word, length) || refuse_syntax(json, "a shorter name");
}

int fml_json_key(fml_json *json, char *key, size_t capacity) {
    size_t length;
    if (!fml_json_string(json, key, capacity, &length)) return 0;
    if (is_cut(key, length)) key[0] = 0; /* which is no key that anybody knows */
    return take(json, ':') || refuse_syntax(json, "a colon after a key");
}

static int skip_value(fml_json *json, int depth) {
    char key[1];
    double number;
    size_t n = 0;
    skip_blanks(json);
    if (json->at == json->end) return refuse_syntax(json, "a value");
    char kind = *json->at;
    if (kind == '"') return fml_json_string(json, key, 1, NULL);
    if (kind == '-' || is_digit(kind)) return fml_json_number(json, &number);
    if (kind != '{' && kind != '[')
        return take_word(json, "null") || take_word(json, "true") || take_word(json, "false") ||
               refuse_syntax(json, "a value");
    if (depth == MAX_DEPTH) return refuse_syntax(json, "at most 32 levels");
    while (fml_json_next(json, kind, &n))
        if ((kind == '{' && !fml_json_key(json, key, 1)) || !skip_value(json, depth + 1)) return 0;
    return n != FML_JSON_FAILED;
}

int fml_json_skip(fml_json *json) { return skip_value(json, 0); }

int fml_json_check(const fml_json *json) {
    fml_json here = *json;
    if (!fml_json_skip(&here)) return 0;
    skip_blanks(&here);
    return here.at == here.end || refuse_syntax(&here, "one value");
}

int fml_json_fields(fml_json *json, const char *const *names, fml_json *values) {
    size_t n = 0, n_names = 0;
    for (; names[n_names] != NULL; n_names++)
        values[n_names] = fml_json_at(NULL, json->end, names[n_names], json->error);
    while (fml_json_next(json, '{', &n)) {
        char key[KEY_CAPACITY];
        size_t i = 0;
        if (!fml_json_key(json, key, sizeof key)) return 0;
        while (i < n_names && strcmp(names[i], key) != 0) i++;
        if (i == n_names || values[i].at != NULL)
            return fml_json_refuse(json, FASTMLP_BAD_FILE, "expected %s, got '%s'",
                                   i == n_names ? "only fields that this library knows" : "each field once", key);
        values[i].at = json->at;
        if (!fml_json_skip(json)) return 0;
    }
    return n != FML_JSON_FAILED;
}
