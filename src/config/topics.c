/*
 * Topics of the event bus. Kismet acknowledges no subscription, so a misspelt topic would be a
 * silence for ever: it is refused here.
 */
#include "config/topics.h"

#include "base/text.h"
#include "config/strings.h"
#include "config/suggest.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

static const char *const topics[] = {
    "ALERT",
    "MESSAGE",
    "NEW_DEVICE",
    "NEW_DATASOURCE",
    "DATASOURCE_OPENED",
    "DATASOURCE_CLOSED",
    "DATASOURCE_ERROR",
    "DATASOURCE_PAUSED",
    "DATASOURCE_RESUMED",
    "DOT11_ADVERTISED_SSID",
    "DOT11_RESPONSE_SSID",
    "DOT11_PROBED_SSID",
    "DOT11_WPA_HANDSHAKE",
    "GPS_LOCATION",
    "BATTERY",
    "STATISTICS",
    "PACKETCHAIN_STATS",
    "RADIATION",
};
enum { TOPICS = sizeof topics / sizeof topics[0] };

/* One bit a topic. 0 = the word means none of them. */
static uint32_t match(const char *word)
{
    size_t length = strlen(word);
    bool open = length > 0 && word[length - 1] == '*'; /* "DATASOURCE_*" */
    uint32_t found = 0;
    if (strcasecmp(word, "all") == 0)
        return (1u << TOPICS) - 1;
    if (strcasecmp(word, "NEWDEVICE") == 0) /* the Python script's spelling */
        word = "NEW_DEVICE";
    for (unsigned i = 0; i < TOPICS; i++)
        if (open ? strncasecmp(word, topics[i], length - 1) == 0 : strcasecmp(word, topics[i]) == 0)
            found |= 1u << i;
    return found;
}

static enum kx_code refuse(const char *word, struct kx_error *err)
{
    char upper[64];
    size_t length = strlen(word);
    if (strcasecmp(word, "TIMESTAMP") == 0)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "TIMESTAMP is Kismet's heartbeat: it is always watched and never "
                            "exported; leave it out");
    if (strcasecmp(word, "none") == 0)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "'none' stands alone: leave the others out");
    if (length >= sizeof upper)
        length = sizeof upper - 1;
    for (size_t i = 0; i < length; i++)
        upper[i] = word[i] >= 'a' && word[i] <= 'z' ? (char)(word[i] - 'a' + 'A') : word[i];
    upper[length] = '\0';
    struct kx_suggest suggest = {.word = upper};
    char near[KX_SUGGEST_TEXT_MAX];
    for (size_t i = 0; i < TOPICS; i++)
        kx_suggest_offer(&suggest, topics[i]);
    return kx_error_set(
        err, KX_ERR_CONFIG, 0,
        "'%s' is no event topic%s (all, none, or some of ALERT, MESSAGE, NEW_DEVICE, "
        "NEW_DATASOURCE, DATASOURCE_*, DOT11_*, GPS_LOCATION, BATTERY, STATISTICS, "
        "PACKETCHAIN_STATS, RADIATION)",
        upper, kx_suggest_text(&suggest, "", near));
}

enum kx_code kx_topics_resolve(void *list, struct kx_error *err)
{
    struct kx_strings *words = list;
    struct kx_strings found = {0};
    uint32_t picked = 0;
    bool none = words->count == 1 && strcasecmp(words->items[0], "none") == 0;
    for (size_t i = 0; i < words->count && !none; i++) {
        uint32_t matched = match(words->items[i]);
        if (matched == 0)
            return refuse(words->items[i], err);
        picked |= matched;
    }
    for (unsigned i = 0; i < TOPICS; i++)
        if ((picked >> i & 1) != 0 && !kx_strings_add(&found, topics[i], strlen(topics[i]))) {
            kx_strings_fini(&found);
            return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the event topics");
        }
    kx_strings_fini(words);
    *words = found;
    return KX_OK;
}
