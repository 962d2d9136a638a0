/* Names, addresses and server_uuids; the contract stands in the header. */
#include "ingest/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char uuid[64]; /* that it said last; empty = nothing yet */
    bool said_other;
    bool said_twin;
};

struct kx_identity {
    const struct kx_config *config;
    struct entry entries[];
};

enum kx_code kx_identity_create(struct kx_identity **ret_identity,
                                const struct kx_config *config,
                                struct kx_error *err)
{
    struct kx_identity *identity =
        calloc(1, sizeof *identity + config->source_count * sizeof(struct entry));
    if (identity == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the servers' names");
    identity->config = config;
    *ret_identity = identity;
    return KX_OK;
}

void kx_identity_destroy(struct kx_identity *identity)
{
    free(identity);
}

/* Another source whose server has the same uuid; source_count = none. */
static size_t find_twin(const struct kx_identity *identity, size_t i)
{
    size_t count = identity->config->source_count;
    for (size_t k = 0; k < count; k++)
        if (k != i && strcmp(identity->entries[k].uuid, identity->entries[i].uuid) == 0)
            return k;
    return count;
}

bool kx_identity_learn(struct kx_identity *identity,
                       size_t i,
                       const char *uuid,
                       char ret_text[KX_IDENTITY_TEXT_MAX])
{
    KX_ASSERT(i < identity->config->source_count);
    struct entry *entry = &identity->entries[i];
    if (uuid[0] == '\0')
        return false;
    char before[sizeof entry->uuid];
    memcpy(before, entry->uuid, sizeof before);
    snprintf(entry->uuid, sizeof entry->uuid, "%s", uuid);
    if (before[0] != '\0' && strcmp(before, entry->uuid) != 0 && !entry->said_other) {
        entry->said_other = true;
        snprintf(ret_text, KX_IDENTITY_TEXT_MAX,
                 "two servers under one name: server_uuid %s answers now, %s did before; their "
                 "devices go under the same source name. Give each Kismet its own address and "
                 "name, unless this one was set up anew",
                 entry->uuid, before);
        return true;
    }
    size_t twin = find_twin(identity, i);
    if (twin == identity->config->source_count || entry->said_twin)
        return false;
    entry->said_twin = true;
    identity->entries[twin].said_twin = true;
    const struct kx_source_config *other = &identity->config->sources[twin];
    snprintf(ret_text, KX_IDENTITY_TEXT_MAX,
             "the same server_uuid %s as source %s (%.100s): one Kismet under two addresses (leave "
             "one out), or a copied SD card (remove ~/.kismet/kismet_server_id.conf on the copy "
             "and restart its Kismet)",
             entry->uuid, other->name, other->url);
    return true;
}
