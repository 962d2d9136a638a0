/*
 * The connection: libpq without blocking, the wait that everything here goes through, and the words
 * for what went wrong.
 */
#include "sinks/postgres_db.h"

#include "base/clock.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    CONNECT_S = 10, /* for one address, unless connect_timeout says otherwise */
    LEFT_MS_MAX = 30000,
    WORDS_MAX = 320, /* of the server's, in an error */
};

/* --- what went wrong --- */

/* Copies the first line of text; a password in it becomes ***. */
static void copy_words(const PGconn *handle, const char *text, char out[WORDS_MAX])
{
    const char *password = handle != NULL ? PQpass(handle) : NULL;
    size_t length = password != NULL ? strlen(password) : 0;
    size_t used = 0;
    while (*text != '\0' && used < WORDS_MAX - 4) {
        if (length > 0 && strncmp(text, password, length) == 0) {
            memcpy(out + used, "***", 3);
            used += 3;
            text += length;
            continue;
        }
        char byte = *text++;
        if (byte == '\n' && *text == '\0')
            break;
        out[used++] = byte == '\n' || byte == '\t' ? ' ' : byte;
    }
    out[used] = '\0';
}

/* A failure that the server, or libpq, put into words. state may be NULL. */
static enum kx_outcome
fail(struct kx_postgres_db *db, const char *state, const char *text, struct kx_error *err)
{
    char words[WORDS_MAX];
    snprintf(db->sqlstate, sizeof db->sqlstate, "%s", state != NULL ? state : "");
    db->fault = kx_postgres_fault_find(db->sqlstate);
    copy_words(db->handle, text, words);
    const char *remedy = db->fault->remedy;
    kx_error_set(err, db->fault->code, 0, "%s: %s%s%s%s%s", db->name, words,
                 db->sqlstate[0] != '\0' ? " " : "", db->sqlstate, remedy != NULL ? ": " : "",
                 remedy != NULL ? remedy : "");
    if (!db->fault->keeps)
        kx_postgres_close(db);
    return db->fault->outcome;
}

/* A message of class 22 quotes the value that it does not like: a name or an address, which no log
 * is to repeat. All other classes quote names of tables and constraints. */
static void hide_values(const char *message, char out[WORDS_MAX])
{
    size_t used = 0;
    bool quoted = false;
    for (; *message != '\0' && used < WORDS_MAX - 5; message++) {
        bool quote = *message == '"';
        if (!quoted || quote)
            out[used++] = *message;
        if (quote && !quoted) {
            memcpy(out + used, "...", 3);
            used += 3;
        }
        quoted = quoted != quote;
    }
    out[used] = '\0';
}

/* Of what the server says only the message itself: DETAIL and CONTEXT have the row in them. */
static enum kx_outcome
fail_result(struct kx_postgres_db *db, PGresult *result, struct kx_error *err)
{
    char words[WORDS_MAX];
    char hidden[WORDS_MAX];
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    /* Who added a constraint wants to hear its name; most messages have it already. */
    if (message != NULL && constraint != NULL && strstr(message, constraint) == NULL) {
        snprintf(words, sizeof words, "%s (constraint %s)", message, constraint);
        message = words;
    }
    if (message != NULL && state != NULL && strncmp(state, "22", 2) == 0) {
        hide_values(message, hidden);
        message = hidden;
    }
    if (message == NULL)
        message = PQresultErrorMessage(result);
    return fail(db, state, message, err);
}

/* The connection itself failed, in libpq's words. */
static enum kx_outcome fail_connection(struct kx_postgres_db *db, struct kx_error *err)
{
    char words[WORDS_MAX];
    /* closed within fail: its words must not lie in it */
    snprintf(words, sizeof words, "%s", PQerrorMessage(db->handle));
    return fail(db, NULL, words[0] != '\0' ? words : "the connection was lost", err);
}

/* Not the server's doing: our own limits. */
static enum kx_outcome
give_up(struct kx_postgres_db *db, enum kx_code code, const char *why, struct kx_error *err)
{
    db->sqlstate[0] = '\0';
    db->fault = kx_postgres_fault_find("");
    kx_error_set(err, code, 0, "%s: %s", db->name, why);
    kx_postgres_close(db);
    return KX_RETRY;
}

/* --- the one wait --- */

int kx_postgres_left_ms(const struct kx_postgres_db *db)
{
    if (db->call == NULL || db->call->deadline_ns == 0)
        return LEFT_MS_MAX;
    int left = kx_clock_poll_ms(db->call->deadline_ns, kx_clock_boot_ns(), LEFT_MS_MAX);
    return left > 0 ? left : 1;
}

/*
 * Waits until the socket is ready for `events`, stop_fd is readable or the time is over. until_ns:
 * an earlier end of the wait (0 = none), which is no failure: *ret_ready is false then.
 */
static enum kx_outcome wait_socket(struct kx_postgres_db *db,
                                   short events,
                                   uint64_t until_ns,
                                   bool *ret_ready,
                                   struct kx_error *err)
{
    const struct kx_call *call = db->call;
    struct pollfd fds[] = {{.fd = PQsocket(db->handle), .events = events},
                           {.fd = call != NULL ? call->stop_fd : -1, .events = POLLIN}};
    uint64_t deadline_ns = call != NULL ? call->deadline_ns : 0;
    *ret_ready = false;
    for (;;) {
        uint64_t now_ns = kx_clock_boot_ns();
        bool early = until_ns != 0 && (deadline_ns == 0 || until_ns < deadline_ns);
        uint64_t end_ns = early ? until_ns : deadline_ns;
        int ready = poll(fds, 2, kx_clock_poll_ms(end_ns, now_ns, LEFT_MS_MAX));
        if (ready < 0 && errno != EINTR)
            return give_up(db, KX_ERR_IO, "cannot wait for the server", err);
        if (ready > 0 && fds[1].revents != 0)
            return give_up(db, KX_ERR_STOPPED, "stopped while the server worked", err);
        if (ready > 0 && fds[0].revents != 0) {
            *ret_ready = true;
            return KX_SENT;
        }
        if (end_ns != 0 && kx_clock_boot_ns() >= end_ns)
            return early ? KX_SENT
                         : give_up(db, KX_ERR_TIMEOUT, "the server did not answer in time", err);
    }
}

/* Sends all that libpq has buffered. Input is taken meanwhile: a server that cannot write does not
 * read. */
static enum kx_outcome flush(struct kx_postgres_db *db, struct kx_error *err)
{
    for (;;) {
        int left = PQflush(db->handle);
        if (left == 0)
            return KX_SENT;
        if (left < 0)
            return fail_connection(db, err);
        bool ready;
        enum kx_outcome outcome = wait_socket(db, POLLIN | POLLOUT, 0, &ready, err);
        if (outcome != KX_SENT)
            return outcome;
        if (PQconsumeInput(db->handle) == 0)
            return fail_connection(db, err);
    }
}

/* The next result; NULL = the query is over. */
static enum kx_outcome
next_result(struct kx_postgres_db *db, PGresult **ret_result, struct kx_error *err)
{
    while (PQisBusy(db->handle) != 0) {
        bool ready;
        enum kx_outcome outcome = wait_socket(db, POLLIN, 0, &ready, err);
        if (outcome != KX_SENT)
            return outcome;
        if (PQconsumeInput(db->handle) == 0) {
            /* What it said before it hung up is better than that it hung up. */
            if (PQisBusy(db->handle) == 0)
                break;
            return fail_connection(db, err);
        }
    }
    *ret_result = PQgetResult(db->handle);
    return KX_SENT;
}

static bool is_bad(ExecStatusType status)
{
    return status == PGRES_BAD_RESPONSE || status == PGRES_FATAL_ERROR;
}

/* --- queries --- */

static void clear_results(PGresult **results, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        PQclear(results[i]);
        results[i] = NULL;
    }
}

/*
 * Takes the results of what was sent, to the end of it or, with copying, to the point where the
 * server wants data. The first failure is the one that counts; what follows it is drained.
 */
static enum kx_outcome collect(
    struct kx_postgres_db *db, PGresult **results, size_t count, bool copying, struct kx_error *err)
{
    PGresult *failed = NULL;
    enum kx_outcome outcome = KX_SENT;
    for (size_t i = 0; i < count; i++)
        results[i] = NULL;
    for (size_t i = 0; outcome == KX_SENT; i++) {
        PGresult *result = NULL;
        outcome = next_result(db, &result, err);
        if (outcome != KX_SENT || result == NULL)
            break;
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            PQclear(result);
            if (copying && status == PGRES_COPY_IN)
                return KX_SENT;
            outcome = give_up(db, KX_ERR_PROTOCOL, "the server began a COPY unasked", err);
        } else if (is_bad(status) && failed == NULL) {
            failed = result;
        } else if (i < count && failed == NULL) {
            results[i] = result;
        } else {
            PQclear(result);
        }
    }
    if (failed != NULL) {
        outcome = fail_result(db, failed, err);
        PQclear(failed);
    } else if (outcome == KX_SENT && copying) {
        outcome = give_up(db, KX_ERR_PROTOCOL, "the server wants no data for a COPY", err);
    }
    if (outcome != KX_SENT)
        clear_results(results, count);
    return outcome;
}

static enum kx_outcome send_simple(struct kx_postgres_db *db, const char *sql, struct kx_error *err)
{
    if (PQsendQuery(db->handle, sql) == 0)
        return fail_connection(db, err);
    return flush(db, err);
}

enum kx_outcome kx_postgres_results(struct kx_postgres_db *db,
                                    const char *sql,
                                    PGresult **ret_results,
                                    size_t count,
                                    struct kx_error *err)
{
    for (size_t i = 0; i < count; i++)
        ret_results[i] = NULL;
    enum kx_outcome outcome = send_simple(db, sql, err);
    return outcome == KX_SENT ? collect(db, ret_results, count, false, err) : outcome;
}

enum kx_outcome kx_postgres_exec(struct kx_postgres_db *db, const char *sql, struct kx_error *err)
{
    return kx_postgres_results(db, sql, NULL, 0, err);
}

enum kx_outcome kx_postgres_query(struct kx_postgres_db *db,
                                  const char *sql,
                                  const char *const *values,
                                  size_t count,
                                  PGresult **ret_result,
                                  struct kx_error *err)
{
    PGresult *result = NULL;
    if (PQsendQueryParams(db->handle, sql, (int)count, NULL, values, NULL, NULL, 0) == 0)
        return fail_connection(db, err);
    enum kx_outcome outcome = flush(db, err);
    if (outcome == KX_SENT)
        outcome = collect(db, &result, 1, false, err);
    if (outcome == KX_SENT && ret_result != NULL)
        *ret_result = result;
    else
        PQclear(result);
    return outcome;
}

void kx_postgres_rollback(struct kx_postgres_db *db)
{
    struct kx_postgres_db before = *db;
    if (db->handle == NULL)
        return;
    PGTransactionStatusType status = PQtransactionStatus(db->handle);
    if (status == PQTRANS_IDLE)
        return;
    if (status != PQTRANS_INTRANS && status != PQTRANS_INERROR)
        kx_postgres_close(db);
    else
        kx_postgres_exec(db, "ROLLBACK", NULL); /* a failure closes, which rolls back as well */
    memcpy(db->sqlstate, before.sqlstate, sizeof db->sqlstate);
    db->fault = before.fault;
}

/* --- COPY --- */

enum kx_outcome
kx_postgres_copy_begin(struct kx_postgres_db *db, const char *sql, struct kx_error *err)
{
    enum kx_outcome outcome = send_simple(db, sql, err);
    return outcome == KX_SENT ? collect(db, NULL, 0, true, err) : outcome;
}

enum kx_outcome kx_postgres_copy_put(struct kx_postgres_db *db,
                                     const char *bytes,
                                     size_t length,
                                     struct kx_error *err)
{
    KX_ASSERT(length <= INT_MAX);
    int put = PQputCopyData(db->handle, bytes, (int)length);
    while (put == 0) { /* no room and not allowed to wait: make some */
        enum kx_outcome outcome = flush(db, err);
        if (outcome != KX_SENT)
            return outcome;
        put = PQputCopyData(db->handle, bytes, (int)length);
    }
    /* libpq would buffer without limit. */
    return put < 0 ? fail_connection(db, err) : flush(db, err);
}

enum kx_outcome kx_postgres_copy_end(struct kx_postgres_db *db, struct kx_error *err)
{
    int put = PQputCopyEnd(db->handle, NULL);
    while (put == 0) {
        enum kx_outcome outcome = flush(db, err);
        if (outcome != KX_SENT)
            return outcome;
        put = PQputCopyEnd(db->handle, NULL);
    }
    if (put < 0)
        return fail_connection(db, err);
    enum kx_outcome outcome = flush(db, err);
    return outcome == KX_SENT ? collect(db, NULL, 0, false, err) : outcome;
}

/* --- connecting --- */

enum { OPTIONS_MAX = 16, LIST_MAX = 1024 };

/* The keywords and values of one attempt; a later one overrides an earlier one. */
struct options {
    const char *keywords[OPTIONS_MAX + 1];
    const char *values[OPTIONS_MAX + 1];
    size_t count;
    char lists[3][LIST_MAX]; /* host, hostaddr, port, turned */
};

static void put_option(struct options *options, const char *keyword, const char *value)
{
    KX_ASSERT(options->count < OPTIONS_MAX);
    options->keywords[options->count] = keyword;
    options->values[options->count++] = value;
}

static const char *find_value(const PQconninfoOption *found, const char *keyword)
{
    for (; found != NULL && found->keyword != NULL; found++)
        if (strcmp(found->keyword, keyword) == 0)
            return found->val != NULL && found->val[0] != '\0' ? found->val : NULL;
    return NULL;
}

/* Rotates a list with commas by `turn` elements; false when it does not fit or has but one. */
static bool turn_list(const char *list, unsigned turn, char out[LIST_MAX])
{
    size_t length = strlen(list);
    unsigned elements = 1;
    for (const char *at = list; *at != '\0'; at++)
        elements += *at == ',';
    if (elements == 1 || length + 2 > LIST_MAX)
        return false;
    const char *rest = list;
    for (turn %= elements; turn > 0; turn--)
        rest = strchr(rest, ',') + 1;
    if (rest == list)
        return false;
    snprintf(out, LIST_MAX, "%s,%.*s", rest, (int)(rest - list - 1), list);
    return true;
}

/* libpq has no way to give up on a host that accepted us and then hangs; the attempt is repeated
 * with the hosts in another order. */
static void turn_hosts(struct options *options,
                       const PQconninfoOption *given,
                       const PQconninfoOption *defaults,
                       unsigned turn)
{
    static const char *const keywords[] = {"host", "hostaddr", "port"};
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        const char *list = find_value(given, keywords[i]);
        if (list == NULL)
            list = find_value(defaults, keywords[i]);
        if (list != NULL && turn_list(list, turn, options->lists[i]))
            put_option(options, keywords[i], options->lists[i]);
    }
}

static bool is_list(const PQconninfoOption *options, const char *keyword)
{
    const char *value = find_value(options, keyword);
    return value != NULL && strchr(value, ',') != NULL;
}

/*
 * Our own defaults come first, what the user says overrides them, what we insist on comes last. A
 * service file can be overridden but not asked: with one our defaults stay away.
 */
static void put_options(struct options *options,
                        const struct kx_postgres_target *target,
                        const PQconninfoOption *given,
                        const PQconninfoOption *defaults,
                        unsigned turn)
{
    bool service = find_value(given, "service") != NULL || find_value(defaults, "service") != NULL;
    bool several = is_list(given, "host") || is_list(given, "hostaddr") ||
                   is_list(defaults, "host") || is_list(defaults, "hostaddr");
    if (!service) {
        put_option(options, "tcp_user_timeout", "20000");
        put_option(options, "keepalives_idle", "10");
        put_option(options, "keepalives_interval", "5");
        put_option(options, "keepalives_count", "3");
        /* Of several servers the one that takes writes is meant. */
        const char *attributes = find_value(defaults, "target_session_attrs");
        if (several && (attributes == NULL || strcmp(attributes, "any") == 0))
            put_option(options, "target_session_attrs", "read-write");
    }
    put_option(options, "fallback_application_name", "kismet-export");
    if (target->conninfo != NULL)
        put_option(options, "dbname", target->conninfo); /* is expanded where it stands */
    if (target->password != NULL)
        put_option(options, "password", target->password);
    if (turn > 0)
        turn_hosts(options, given, defaults, turn);
    put_option(options, "client_encoding", "UTF8");
}

static PQconninfoOption *parse(const char *conninfo, struct kx_error *err)
{
    char *message = NULL;
    PQconninfoOption *given = PQconninfoParse(conninfo != NULL ? conninfo : "", &message);
    if (given != NULL)
        return given;
    /* libpq quotes what it does not understand: where a password may stand, it is not shown. */
    bool secret = strstr(conninfo, "pass") != NULL || strchr(conninfo, '@') != NULL;
    char words[WORDS_MAX] = "";
    if (!secret && message != NULL)
        copy_words(NULL, message, words);
    kx_error_set(err, KX_ERR_CONFIG, 0,
                 "`conn` is no connection string%s%s; write postgresql://user@host:5432/database, "
                 "or host=... dbname=...; in a URI %%-encode what is special in a password",
                 words[0] != '\0' ? ": " : "", words);
    PQfreemem(message);
    return NULL;
}

enum kx_code kx_postgres_check(const char *conninfo, struct kx_error *err)
{
    PQconninfoOption *given = parse(conninfo, err);
    if (given == NULL)
        return KX_ERR_CONFIG;
    PQconninfoFree(given);
    return KX_OK;
}

static void on_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

static void set_name(struct kx_postgres_db *db)
{
    const char *host = PQhost(db->handle);
    const char *database = PQdb(db->handle);
    snprintf(db->name, sizeof db->name, "postgres %s%s%s/%s", host != NULL ? host : "",
             host != NULL && host[0] == '/' ? " port " : ":", PQport(db->handle),
             database != NULL ? database : "");
}

static uint64_t connect_timeout_ns(PGconn *handle)
{
    PQconninfoOption *merged = PQconninfo(handle);
    const char *value = find_value(merged, "connect_timeout");
    long seconds = value != NULL ? strtol(value, NULL, 10) : CONNECT_S;
    PQconninfoFree(merged);
    if (seconds <= 0 || seconds > INT_MAX) /* libpq: for ever; the call has its own end */
        return 0;
    return (uint64_t)seconds * KX_NS_PER_S;
}

/*
 * libpq keeps the SQLSTATE of a refused connection to itself, but for the words that it makes of it
 * when it is told to be verbose: "FATAL:  28P01: password ...", in every language. The last one
 * counts: an earlier one was another host's.
 */
static char *find_state(char *text, char out[KX_SQLSTATE_LENGTH + 1])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char *found = NULL;
    for (char *at = strstr(text, ":  "); at != NULL; at = strstr(at + 3, ":  "))
        if (strspn(at + 3, digits) == KX_SQLSTATE_LENGTH && at[3 + KX_SQLSTATE_LENGTH] == ':')
            found = at + 3;
    if (found == NULL)
        return NULL;
    snprintf(out, KX_SQLSTATE_LENGTH + 1, "%.5s", found);
    return found + KX_SQLSTATE_LENGTH + 1;
}

/* What libpq itself finds wrong has no SQLSTATE; these are the ones that decide something. */
static const char *state_of_words(const char *words)
{
    static const struct {
        const char *words, *state;
    } known[] = {
        {"no password supplied", "28P01"},
        {"server does not support SSL", "28000"},
        {"certificate", "28000"},
        {"requires a password", "28P01"},
        {"session is read-only", "25006"},
        {"server is in hot standby mode", "25006"},
        {"does not match host name", "28000"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strstr(words, known[i].words) != NULL)
            return known[i].state;
    return NULL;
}

static enum kx_outcome fail_connecting(struct kx_postgres_db *db, struct kx_error *err)
{
    char words[2 * WORDS_MAX];
    char state[KX_SQLSTATE_LENGTH + 1];
    snprintf(words, sizeof words, "%s", PQerrorMessage(db->handle));
    char *said = find_state(words, state);
    if (said == NULL)
        return fail(db, state_of_words(words), words, err);
    char *end = strchr(said, '\n'); /* where in the server's source it was said helps nobody */
    if (end != NULL)
        *end = '\0';
    return fail(db, state, said + strspn(said, " "), err);
}

/* Walks libpq through its attempts. An address that is silent too long has its socket shut down,
 * which makes libpq go on to the next one. */
static enum kx_outcome poll_connection(struct kx_postgres_db *db, struct kx_error *err)
{
    uint64_t patience_ns = connect_timeout_ns(db->handle);
    uint64_t until_ns = patience_ns > 0 ? kx_clock_boot_ns() + patience_ns : 0;
    PostgresPollingStatusType wants = PGRES_POLLING_WRITING;
    char address[128] = "";
    bool hung = false;
    while (wants != PGRES_POLLING_OK) {
        if (wants == PGRES_POLLING_FAILED) {
            db->turn += hung;
            set_name(db);
            return fail_connecting(db, err);
        }
        const char *now_at = PQhostaddr(db->handle);
        if (now_at != NULL && strcmp(now_at, address) != 0) {
            snprintf(address, sizeof address, "%s", now_at);
            until_ns = patience_ns > 0 ? kx_clock_boot_ns() + patience_ns : 0;
            hung = false;
        }
        bool ready;
        short events = wants == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        set_name(db);
        enum kx_outcome outcome = wait_socket(db, events, until_ns, &ready, err);
        if (outcome != KX_SENT)
            return outcome;
        if (!ready) {
            hung = true;
            until_ns = 0;
            shutdown(PQsocket(db->handle), SHUT_RDWR);
        }
        wants = PQconnectPoll(db->handle);
    }
    PQsetErrorVerbosity(db->handle, PQERRORS_DEFAULT);
    return KX_SENT;
}

static enum kx_outcome
start(struct kx_postgres_db *db, const struct kx_postgres_target *target, struct kx_error *err)
{
    struct options options = {.count = 0};
    PQconninfoOption *given = parse(target->conninfo, err);
    if (given == NULL)
        return KX_HOLD;
    PQconninfoOption *defaults = PQconndefaults();
    put_options(&options, target, given, defaults, db->turn);
    db->handle = PQconnectStartParams(options.keywords, options.values, 1);
    PQconninfoFree(given);
    PQconninfoFree(defaults);
    if (db->handle == NULL)
        return give_up(db, KX_ERR_NOMEM, "no memory for a connection", err);
    PQsetNoticeReceiver(db->handle, on_notice, NULL);
    PQsetErrorVerbosity(db->handle, PQERRORS_VERBOSE); /* for find_state */
    set_name(db);
    if (PQstatus(db->handle) == CONNECTION_BAD)
        return fail_connecting(db, err);
    return poll_connection(db, err);
}

static enum kx_outcome check_encoding(struct kx_postgres_db *db, struct kx_error *err)
{
    const char *encoding = PQparameterStatus(db->handle, "server_encoding");
    if (encoding == NULL || strcmp(encoding, "UTF8") == 0)
        return KX_SENT;
    kx_error_set(err, KX_ERR_CONFIG, 0,
                 "%s: this database is encoded %s and cannot hold every name; make one that can: "
                 "createdb -E UTF8 -T template0 NAME",
                 db->name, encoding);
    kx_postgres_close(db);
    db->sqlstate[0] = '\0';
    db->fault = kx_postgres_fault_find("42");
    return KX_HOLD;
}

/* A pooler gives its clients process numbers of its own making. */
static enum kx_outcome
look_for_pooler(struct kx_postgres_db *db, enum kx_switch pooler, struct kx_error *err)
{
    PGresult *result = NULL;
    db->pooled = pooler == KX_ON;
    if (pooler != KX_AUTO)
        return KX_SENT;
    enum kx_outcome outcome =
        kx_postgres_results(db, "SELECT pg_catalog.pg_backend_pid()", &result, 1, err);
    if (outcome != KX_SENT)
        return outcome;
    if (result != NULL && PQntuples(result) == 1)
        db->pooled = strtol(PQgetvalue(result, 0, 0), NULL, 10) != PQbackendPID(db->handle);
    PQclear(result);
    return KX_SENT;
}

enum kx_outcome kx_postgres_connect(struct kx_postgres_db *db,
                                    const struct kx_postgres_target *target,
                                    struct kx_error *err)
{
    if (db->handle != NULL && PQstatus(db->handle) == CONNECTION_OK)
        return KX_SENT;
    kx_postgres_close(db);
    snprintf(db->name, sizeof db->name, "postgres");
    enum kx_outcome outcome = start(db, target, err);
    if (outcome == KX_SENT && PQsetnonblocking(db->handle, 1) != 0)
        outcome = fail_connection(db, err);
    if (outcome == KX_SENT)
        outcome = check_encoding(db, err);
    if (outcome == KX_SENT)
        outcome = look_for_pooler(db, target->pooler, err);
    if (outcome == KX_SENT)
        db->turn = 0;
    return outcome;
}

void kx_postgres_close(struct kx_postgres_db *db)
{
    PQfinish(db->handle); /* sends its goodbye without waiting: the connection does not block */
    db->handle = NULL;
    db->pooled = false;
}
