/* A broker's address; the contract stands in the header. */
#include "config/broker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The part behind the scheme; NULL = a scheme that is none of ours. */
static const char *behind_scheme(const char *text, bool *ret_tls)
{
    static const struct {
        const char *scheme;
        bool tls;
    } schemes[] = {{"mqtt://", false}, {"mqtts://", true}, {"tcp://", false}, {"ssl://", true}};
    *ret_tls = false;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (strncasecmp(text, schemes[i].scheme, strlen(schemes[i].scheme)) == 0) {
            *ret_tls = schemes[i].tls;
            return text + strlen(schemes[i].scheme);
        }
    return strstr(text, "://") == NULL ? text : NULL;
}

enum kx_code kx_broker_parse(const char *text, struct kx_url *ret_url, struct kx_error *err)
{
    char http[KX_URL_TEXT_MAX];
    struct kx_url url;
    bool tls;
    const char *rest = behind_scheme(text, &tls);
    if (rest == NULL)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "a broker's address is a host name, mqtt://host or mqtts://host");
    if (strchr(rest, '@') != NULL)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "a user in the address: write username and password_file");
    snprintf(http, sizeof http, "http://%s", rest);
    if (strlen(rest) + strlen("http://") >= sizeof http ||
        kx_url_parse(http, &url, NULL) != KX_OK || url.prefix[0] != '\0')
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "not the address of a broker: write mqtt://broker.example:1883");
    url.tls = tls;
    if (!url.port_given)
        url.port = tls ? KX_BROKER_PORT_TLS : KX_BROKER_PORT;
    *ret_url = url;
    return KX_OK;
}

enum kx_code kx_check_broker(void *field, struct kx_error *err)
{
    char **text = field;
    char authority[KX_URL_HOST_MAX + 8];
    char *full = NULL;
    struct kx_url url;
    enum kx_code code = kx_broker_parse(*text, &url, err);
    if (code != KX_OK)
        return code;
    kx_url_authority(&url, authority);
    if (!url.port_given) /* `port` may still say it */
        *strrchr(authority, ':') = '\0';
    if (asprintf(&full, "%s://%s", url.tls ? "mqtts" : "mqtt", authority) < 0)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for an address");
    free(*text);
    *text = full;
    return KX_OK;
}
