/*
 * The topics of Kismet's event bus, and the words by which a configuration picks from them.
 *
 * Constant data, any thread.
 */
#ifndef KX_CONFIG_TOPICS_H
#define KX_CONFIG_TOPICS_H

#include "base/error.h"

/* Turns the words of a struct kx_strings (topics in any case, NEWDEVICE, DOT11_*, all, none) into
 * topics, in Kismet's order, each once. TIMESTAMP is refused: the ingest watches it always and
 * exports it never. An unknown word is KX_ERR_CONFIG with a suggestion; the list is as it was. */
enum kx_code kx_topics_resolve(void *list, struct kx_error *err);

#endif
