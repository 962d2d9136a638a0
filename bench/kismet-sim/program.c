/* Shared field lists and their caches. */
#include "program.h"

#include <stdlib.h>
#include <string.h>

struct program {
    struct program *next;
    unsigned refs;
    struct text request;
    struct fields *fields;
    struct frame **frame; /* by device index; NULL = never rendered */
    uint64_t *version;    /* of the device in that frame */
    size_t capacity;
    struct text scratch;
};

struct program *program_get(struct program **list, struct span fields, const char **ret_why)
{
    for (struct program *p = *list; p; p = p->next) {
        if (p->request.length == fields.length &&
            (fields.length == 0 || memcmp(p->request.at, fields.at, fields.length) == 0)) {
            p->refs++;
            return p;
        }
    }
    struct fields *compiled = fields_compile(fields, ret_why);
    if (!compiled)
        return NULL;
    struct program *p = xmalloc(sizeof(*p));
    *p = (struct program){.next = *list, .refs = 1, .fields = compiled};
    text_addspan(&p->request, fields);
    *list = p;
    return p;
}

void program_put(struct program **list, struct program *p)
{
    if (!p || --p->refs > 0)
        return;
    while (*list != p)
        list = &(*list)->next;
    *list = p->next;
    for (size_t i = 0; i < p->capacity; i++)
        frame_release(p->frame[i]);
    free(p->frame);
    free(p->version);
    fields_free(p->fields);
    text_free(&p->request);
    text_free(&p->scratch);
    free(p);
}

static void widen(struct program *p, size_t count)
{
    p->frame = xrealloc(p->frame, count * sizeof(struct frame *));
    p->version = xrealloc(p->version, count * sizeof(*p->version));
    for (; p->capacity < count; p->capacity++) {
        p->frame[p->capacity] = NULL;
        p->version[p->capacity] = 0;
    }
}

struct frame *
program_device(struct program *p, const struct scene *s, size_t index, uint64_t due_ns)
{
    const struct device *d = &s->device[index];
    if (p->capacity <= index)
        widen(p, s->capacity);
    bool due = due_ns && fields_wants_due(p->fields);
    if (!due && p->frame[index] && p->version[index] == d->version)
        return frame_hold(p->frame[index]);
    p->scratch.length = 0;
    fields_apply(p->fields, text_span(&d->record), d->aliased, due_ns, &p->scratch);
    struct frame *f = frame_create(text_span(&p->scratch));
    if (!due) {
        frame_release(p->frame[index]);
        p->frame[index] = frame_hold(f);
        p->version[index] = d->version;
    }
    return f;
}

struct frame *program_event(struct program *p, struct span message)
{
    if (fields_whole(p->fields))
        return frame_create(message);
    struct json_walk walk;
    struct span topic, inner;
    p->scratch.length = 0;
    if (json_object(message, &walk)) {
        while (json_member(&walk, &topic, &inner)) {
            text_adds(&p->scratch, p->scratch.length ? ",\"" : "{\"");
            text_addspan(&p->scratch, topic);
            text_adds(&p->scratch, "\": ");
            fields_apply(p->fields, inner, false, 0, &p->scratch);
        }
    }
    text_adds(&p->scratch, "}");
    return frame_create(text_span(&p->scratch));
}
