/* A REST request that is waited for; the contract stands in the header. */
#include "ingest/ask.h"

#include "base/clock.h"
#include "ingest/json.h"
#include <stdio.h>
#include <string.h>

struct taking {
    struct kx_answer *answer;
    size_t lines_left; /* SIZE_MAX = no limit */
    bool cut;
};

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct taking *taking = context;
    struct kx_buf *body = &taking->answer->body;
    size_t length = size * count;
    size_t take = length;
    for (size_t i = 0; i < length && taking->lines_left != SIZE_MAX; i++) {
        if (data[i] != '\n' || --taking->lines_left > 0)
            continue;
        take = i + 1;
        taking->cut = true;
        break;
    }
    kx_buf_bytes(body, data, take);
    bool kept = kx_buf_reserve(body, KX_JSON_PADDING) != NULL;
    return kept && !taking->cut ? length : 0;
}

/* The value of "Key:value" in a certificate's list, or NULL. */
static const char *find(const struct curl_slist *list, const char *key)
{
    size_t length = strlen(key);
    for (; list != NULL; list = list->next)
        if (strncmp(list->data, key, length) == 0 && list->data[length] == ':')
            return list->data + length + 1;
    return NULL;
}

static void read_certificate(CURL *easy, struct kx_answer *answer)
{
    struct curl_certinfo *info = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &info) != CURLE_OK || info == NULL ||
        info->num_of_certs < 1)
        return;
    const char *issuer = find(info->certinfo[0], "Issuer");
    const char *expires = find(info->certinfo[0], "Expire date");
    if (issuer != NULL)
        snprintf(answer->issuer, sizeof answer->issuer, "%s", issuer);
    time_t time = expires != NULL ? curl_getdate(expires, NULL) : -1;
    if (time > 0)
        answer->expires_s = (int64_t)time;
}

static void read_facts(CURL *easy, struct kx_answer *answer)
{
    const char *text = NULL;
    curl_off_t first_us = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer->status);
    curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME, &answer->resolved_s);
    curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME, &answer->connected_s);
    curl_easy_getinfo(easy, CURLINFO_STARTTRANSFER_TIME_T, &first_us);
    answer->first_byte_ns = answer->begun_ns + (int64_t)first_us * 1000;
    /* The request left when the connection stood: what came before is no part of the way there. */
    curl_off_t sent_us = 0;
    curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
    answer->begun_ns += (int64_t)sent_us * 1000;
    if (curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &text) == CURLE_OK && text != NULL)
        snprintf(answer->address, sizeof answer->address, "%s", text);
    text = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &text) == CURLE_OK && text != NULL)
        snprintf(answer->redirect, sizeof answer->redirect, "%s", text);
    read_certificate(easy, answer);
}

static CURLcode
set_up(CURL *easy, const struct kx_question *question, struct taking *taking, void *headers)
{
    CURLcode result = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_WRITEDATA, taking);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)KX_ASK_S_MAX);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
    if (result == CURLE_OK && question->body != NULL)
        result = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    if (result == CURLE_OK && question->body != NULL)
        result = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, question->body);
    return result;
}

/* The transfer itself. */
static enum kx_code perform(const struct kx_endpoint *endpoint,
                            const struct kx_question *question,
                            CURL *easy,
                            const char *curl_error,
                            struct kx_answer *answer,
                            struct kx_error *err)
{
    struct taking taking = {.answer = answer,
                            .lines_left = question->lines_max > 0 ? question->lines_max : SIZE_MAX};
    struct curl_slist *headers = NULL;
    if (question->body != NULL)
        headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURLcode result = question->body == NULL || headers != NULL
                          ? set_up(easy, question, &taking, headers)
                          : CURLE_OUT_OF_MEMORY;
    answer->begun_ns = kx_clock_wall_ns();
    if (result == CURLE_OK)
        result = curl_easy_perform(easy);
    read_facts(easy, answer);
    curl_slist_free_all(headers);
    if (result == CURLE_WRITE_ERROR && taking.cut)
        result = CURLE_OK;
    answer->result = result;
    if (answer->status != 0 && (answer->status < 200 || answer->status > 299))
        return kx_endpoint_status(endpoint, question->path, answer->status, err);
    if (result != CURLE_OK)
        return kx_endpoint_failure(endpoint, result, curl_error, err);
    return KX_OK;
}

enum kx_code kx_ask(const struct kx_endpoint *endpoint,
                    const struct kx_question *question,
                    struct kx_answer *ret_answer,
                    struct kx_error *err)
{
    char curl_error[CURL_ERROR_SIZE];
    CURL *easy = NULL;
    *ret_answer = (struct kx_answer){.result = CURLE_OUT_OF_MEMORY};
    kx_buf_init(&ret_answer->body, KX_ASK_BODY_MAX);
    enum kx_code code = kx_endpoint_easy(endpoint, question->path, curl_error, &easy, err);
    if (code != KX_OK)
        return code;
    if (!question->anonymous)
        code = kx_endpoint_authorize(endpoint, easy, err);
    if (code == KX_OK)
        code = perform(endpoint, question, easy, curl_error, ret_answer, err);
    curl_easy_cleanup(easy);
    return code;
}

void kx_answer_fini(struct kx_answer *answer)
{
    if (answer->body.data != NULL)
        explicit_bzero(answer->body.data, answer->body.capacity);
    kx_buf_fini(&answer->body);
}
