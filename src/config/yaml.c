/*
 * libyaml, in two passes: one over its events, that stops at the depth limit (its scanner's time
 * grows with the square of the depth), then its document tree.
 */
#include "config/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

struct kx_yaml {
    char *name;
    bool exposed;
    bool loaded; /* document is there */
    yaml_document_t document;
};

/* The text that is being parsed. */
struct input {
    const char *text;
    size_t length;
    const char *name;
};

static size_t line_of_offset(const struct input *input, size_t offset)
{
    size_t line = 1;
    for (size_t i = 0; i < offset && i < input->length; i++)
        line += input->text[i] == '\n';
    return line;
}

/* A tab stands among the blanks at the beginning of a line (from 0), or right where libyaml
 * stopped.
 */
static bool has_tab(const struct input *input, size_t line)
{
    const char *at = input->text;
    const char *end = input->text + input->length;
    for (; line > 0 && at != NULL; line--) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at == NULL ? NULL : at + 1;
    }
    while (at != NULL && at < end && *at == ' ')
        at++;
    return at != NULL && at < end && *at == '\t';
}

static enum kx_code
refuse_syntax(const struct input *input, const yaml_parser_t *parser, struct kx_error *err)
{
    size_t line = parser->problem_mark.line;
    const char *problem = parser->problem == NULL ? "cannot be read" : parser->problem;
    switch (parser->error) {
    case YAML_MEMORY_ERROR:
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory to read %s", input->name);
    case YAML_READER_ERROR:
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "%s:%zu: %s: the file must be text in UTF-8 without control bytes",
                            input->name, line_of_offset(input, parser->problem_offset), problem);
    case YAML_NO_ERROR:
    case YAML_SCANNER_ERROR:
    case YAML_PARSER_ERROR:
    case YAML_COMPOSER_ERROR:
    case YAML_WRITER_ERROR:
    case YAML_EMITTER_ERROR:
        break;
    }
    if (has_tab(input, line))
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "%s:%zu: a tab begins the line: YAML indents with spaces only",
                            input->name, line + 1);
    return kx_error_set(err, KX_ERR_CONFIG, 0, "%s:%zu: this is not YAML: %s%s%s", input->name,
                        line + 1, problem, parser->context == NULL ? "" : ", ",
                        parser->context == NULL ? "" : parser->context);
}

static bool start(yaml_parser_t *parser, const struct input *input, struct kx_error *err)
{
    if (yaml_parser_initialize(parser) == 0) {
        kx_error_set(err, KX_ERR_NOMEM, 0, "no memory to read %s", input->name);
        return false;
    }
    yaml_parser_set_input_string(parser, (const unsigned char *)input->text, input->length);
    return true;
}

/* What one event does to the depth and the number of documents. */
static void count_event(const yaml_event_t *event, unsigned *depth, unsigned *documents)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        ++*documents;
        break;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        ++*depth;
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        --*depth;
        break;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
    case YAML_ALIAS_EVENT:
    case YAML_SCALAR_EVENT:
        break;
    }
}

/* The first pass: syntax, depth, one document. */
static enum kx_code check_shape(const struct input *input, struct kx_error *err)
{
    yaml_parser_t parser;
    unsigned depth = 0;
    unsigned documents = 0;
    bool end = false;
    enum kx_code code = KX_OK;
    if (!start(&parser, input, err))
        return KX_ERR_NOMEM;
    while (!end && code == KX_OK) {
        yaml_event_t event;
        if (yaml_parser_parse(&parser, &event) == 0) {
            code = refuse_syntax(input, &parser, err);
            break;
        }
        count_event(&event, &depth, &documents);
        end = event.type == YAML_STREAM_END_EVENT;
        if (depth > KX_YAML_DEPTH_MAX)
            code = kx_error_set(err, KX_ERR_CONFIG, 0, "%s:%zu: nested deeper than %d levels",
                                input->name, event.start_mark.line + 1, KX_YAML_DEPTH_MAX);
        else if (documents > 1)
            code = kx_error_set(err, KX_ERR_CONFIG, 0,
                                "%s:%zu: a second document begins: remove the '---' or the '...'",
                                input->name, event.start_mark.line + 1);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return code;
}

/* Scalars that C strings cannot hold. */
static enum kx_code check_scalars(struct kx_yaml *yaml, struct kx_error *err)
{
    for (int i = 1;; i++) {
        const yaml_node_t *node = yaml_document_get_node(&yaml->document, i);
        if (node == NULL)
            return KX_OK;
        if (node->type == YAML_SCALAR_NODE &&
            memchr(node->data.scalar.value, '\0', node->data.scalar.length) != NULL)
            return kx_error_set(err, KX_ERR_CONFIG, 0, "%s:%u: the value holds a NUL byte",
                                yaml->name, kx_yaml_line(yaml, i));
    }
}

/* The second pass: the tree. */
static enum kx_code load(struct kx_yaml *yaml, const struct input *input, struct kx_error *err)
{
    yaml_parser_t parser;
    enum kx_code code = KX_OK;
    if (!start(&parser, input, err))
        return KX_ERR_NOMEM;
    if (yaml_parser_load(&parser, &yaml->document) == 0)
        code = refuse_syntax(input, &parser, err);
    else
        yaml->loaded = true;
    yaml_parser_delete(&parser);
    if (code == KX_OK && yaml_document_get_root_node(&yaml->document) == NULL)
        code = kx_error_set(err, KX_ERR_CONFIG, 0,
                            "%s:1: the file is empty: write at least 'sources:' or 'sinks:', or "
                            "leave out --config",
                            input->name);
    return code == KX_OK ? check_scalars(yaml, err) : code;
}

enum kx_code kx_yaml_parse(const char *text,
                           size_t length,
                           const char *name,
                           struct kx_yaml **ret_yaml,
                           struct kx_error *err)
{
    const struct input input = {text, length, name};
    if (length > KX_YAML_BYTES_MAX)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "%s: larger than %d bytes", name,
                            KX_YAML_BYTES_MAX);
    enum kx_code code = check_shape(&input, err);
    if (code != KX_OK)
        return code;
    struct kx_yaml *yaml = calloc(1, sizeof *yaml);
    if (yaml == NULL || (yaml->name = strdup(name)) == NULL)
        code = kx_error_set(err, KX_ERR_NOMEM, 0, "no memory to read %s", name);
    if (code == KX_OK)
        code = load(yaml, &input, err);
    if (code == KX_OK)
        *ret_yaml = yaml;
    else
        kx_yaml_destroy(yaml);
    return code;
}

/* Reads path into *ret_text, KX_YAML_BYTES_MAX + 1 bytes that the caller wipes and frees. */
static enum kx_code
read_file(const char *path, char *text, size_t *ret_length, bool *ret_exposed, struct kx_error *err)
{
    struct stat status;
    size_t length = 0;
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return kx_error_set(err, KX_ERR_CONFIG, errno, "cannot open the configuration %s", path);
    int failed = fstat(fd, &status) != 0 ? errno : 0;
    while (failed == 0 && length <= KX_YAML_BYTES_MAX) {
        got = read(fd, text + length, KX_YAML_BYTES_MAX + 1 - length);
        if (got == 0)
            break;
        if (got > 0)
            length += (size_t)got;
        else if (errno != EINTR)
            failed = errno;
    }
    close(fd);
    if (failed != 0)
        return kx_error_set(err, KX_ERR_CONFIG, failed, "cannot read the configuration %s", path);
    *ret_length = length;
    *ret_exposed = (status.st_mode & S_IROTH) != 0;
    return KX_OK;
}

enum kx_code kx_yaml_read(const char *path, struct kx_yaml **ret_yaml, struct kx_error *err)
{
    size_t length = 0;
    bool exposed = false;
    char *text = malloc(KX_YAML_BYTES_MAX + 1);
    if (text == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory to read %s", path);
    enum kx_code code = read_file(path, text, &length, &exposed, err);
    if (code == KX_OK)
        code = kx_yaml_parse(text, length, path, ret_yaml, err);
    if (code == KX_OK)
        (*ret_yaml)->exposed = exposed;
    explicit_bzero(text, length);
    free(text);
    return code;
}

void kx_yaml_destroy(struct kx_yaml *yaml)
{
    if (yaml == NULL)
        return;
    for (int i = 1; yaml->loaded; i++) {
        const yaml_node_t *node = yaml_document_get_node(&yaml->document, i);
        if (node == NULL)
            break;
        if (node->type == YAML_SCALAR_NODE)
            explicit_bzero(node->data.scalar.value, node->data.scalar.length);
    }
    if (yaml->loaded)
        yaml_document_delete(&yaml->document);
    free(yaml->name);
    free(yaml);
}

/* libyaml's readers take a document that is not const, but change nothing. */
static const yaml_node_t *node_of(const struct kx_yaml *yaml, int node)
{
    const yaml_node_t *nodes = yaml->document.nodes.start;
    KX_ASSERT(node >= 1 && node <= yaml->document.nodes.top - nodes);
    return &nodes[node - 1];
}

int kx_yaml_root(const struct kx_yaml *yaml)
{
    (void)yaml;
    return 1; /* libyaml's rule: the root is the first node; there always is one */
}

enum kx_yaml_type kx_yaml_type(const struct kx_yaml *yaml, int node)
{
    switch (node_of(yaml, node)->type) {
    case YAML_SEQUENCE_NODE:
        return KX_YAML_SEQUENCE;
    case YAML_MAPPING_NODE:
        return KX_YAML_MAPPING;
    case YAML_SCALAR_NODE:
    case YAML_NO_NODE:
        break;
    }
    return KX_YAML_SCALAR;
}

unsigned kx_yaml_line(const struct kx_yaml *yaml, int node)
{
    return (unsigned)node_of(yaml, node)->start_mark.line + 1;
}

const char *kx_yaml_text(const struct kx_yaml *yaml, int node)
{
    const yaml_node_t *scalar = node_of(yaml, node);
    KX_ASSERT(scalar->type == YAML_SCALAR_NODE);
    return (const char *)scalar->data.scalar.value;
}

bool kx_yaml_is_null(const struct kx_yaml *yaml, int node)
{
    const yaml_node_t *scalar = node_of(yaml, node);
    if (scalar->type != YAML_SCALAR_NODE || scalar->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    const char *text = (const char *)scalar->data.scalar.value;
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

size_t kx_yaml_count(const struct kx_yaml *yaml, int node)
{
    const yaml_node_t *many = node_of(yaml, node);
    if (many->type == YAML_SEQUENCE_NODE)
        return (size_t)(many->data.sequence.items.top - many->data.sequence.items.start);
    if (many->type == YAML_MAPPING_NODE)
        return (size_t)(many->data.mapping.pairs.top - many->data.mapping.pairs.start);
    return 0;
}

int kx_yaml_item(const struct kx_yaml *yaml, int sequence, size_t i)
{
    KX_ASSERT(kx_yaml_type(yaml, sequence) == KX_YAML_SEQUENCE);
    KX_ASSERT(i < kx_yaml_count(yaml, sequence));
    return node_of(yaml, sequence)->data.sequence.items.start[i];
}

int kx_yaml_key(const struct kx_yaml *yaml, int mapping, size_t i)
{
    KX_ASSERT(kx_yaml_type(yaml, mapping) == KX_YAML_MAPPING);
    KX_ASSERT(i < kx_yaml_count(yaml, mapping));
    return node_of(yaml, mapping)->data.mapping.pairs.start[i].key;
}

int kx_yaml_value(const struct kx_yaml *yaml, int mapping, size_t i)
{
    KX_ASSERT(kx_yaml_type(yaml, mapping) == KX_YAML_MAPPING);
    KX_ASSERT(i < kx_yaml_count(yaml, mapping));
    return node_of(yaml, mapping)->data.mapping.pairs.start[i].value;
}

const char *kx_yaml_name(const struct kx_yaml *yaml)
{
    return yaml->name;
}

bool kx_yaml_is_exposed(const struct kx_yaml *yaml)
{
    return yaml->exposed;
}
