/* Secrets: set, read from files of all kinds, read again, and what is refused. */
#include "config/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/kx-secret-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    umask(0077);
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/key", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_file(const void *bytes, size_t length, mode_t mode)
{
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void set_and_reveal(void **state)
{
    (void)state;
    struct kx_secret secret = {0};
    struct kx_error err = {0};
    assert_false(kx_secret_is_set(&secret));
    assert_null(kx_secret_reveal(&secret));
    assert_int_equal(kx_secret_set(&secret, "s3cret \xc3\xa4%s\r\n\n", &err), KX_OK);
    assert_true(kx_secret_is_set(&secret));
    assert_string_equal(kx_secret_reveal(&secret), "s3cret \xc3\xa4%s");
    assert_int_equal(kx_secret_set(&secret, "other", &err), KX_OK);
    assert_string_equal(kx_secret_reveal(&secret), "other");
    kx_secret_fini(&secret);
    assert_false(kx_secret_is_set(&secret));
    kx_secret_fini(&secret); /* a second time harms nothing */
}

static void refuses_values(void **state)
{
    (void)state;
    static const char *const values[] = {"", "\n", "a\nb", "a\tb", "a\x7f"};
    struct kx_secret secret = {0};
    struct kx_error err = {0};
    assert_int_equal(kx_secret_set(&secret, "old", &err), KX_OK);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(kx_secret_set(&secret, values[i], &err), KX_ERR_CONFIG);
        assert_string_equal(kx_secret_reveal(&secret), "old");
    }
    char *large = calloc(1, KX_SECRET_BYTES_MAX + 2);
    assert_non_null(large);
    memset(large, 'x', KX_SECRET_BYTES_MAX + 1);
    assert_int_equal(kx_secret_set(&secret, large, &err), KX_ERR_CONFIG);
    large[KX_SECRET_BYTES_MAX] = '\0';
    assert_int_equal(kx_secret_set(&secret, large, &err), KX_OK);
    free(large);
    kx_secret_fini(&secret);
}

static void loads_files(void **state)
{
    (void)state;
    struct kx_secret secret = {0};
    struct kx_error err = {0};
    bool exposed = true;
    write_file("key-1\n", 6, 0600);
    assert_int_equal(kx_secret_load(&secret, path, &exposed, &err), KX_OK);
    assert_string_equal(kx_secret_reveal(&secret), "key-1");
    assert_string_equal(secret.file, path);
    assert_false(exposed);
    write_file("key-2", 5, 0444); /* as containers mount secrets */
    assert_int_equal(kx_secret_load(&secret, path, &exposed, &err), KX_OK);
    assert_true(exposed);
    assert_int_equal(kx_secret_load(&secret, path, NULL, &err), KX_OK);
    assert_string_equal(kx_secret_reveal(&secret), "key-2");
    assert_int_equal(kx_secret_set(&secret, "typed", &err), KX_OK); /* forgets the file */
    assert_null(secret.file);
    kx_secret_fini(&secret);
}

static void refuses_files(void **state)
{
    (void)state;
    struct kx_secret secret = {0};
    struct kx_error err = {0};
    bool exposed = false;
    char *large = malloc(KX_SECRET_BYTES_MAX + 1);
    assert_non_null(large);
    memset(large, 'x', KX_SECRET_BYTES_MAX + 1);
    write_file("old", 3, 0600);
    assert_int_equal(kx_secret_load(&secret, path, &exposed, &err), KX_OK);

    write_file("new", 3, 0602);
    assert_int_equal(kx_secret_load(&secret, path, &exposed, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "chmod 600"));
    assert_non_null(strstr(err.text, path));
    write_file("", 0, 0600);
    assert_int_equal(kx_secret_load(&secret, path, &exposed, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "empty"));
    write_file("a\0b", 3, 0600);
    assert_int_equal(kx_secret_load(&secret, path, &exposed, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "NUL"));
    write_file("hunter2\nmore", 12, 0600);
    assert_int_equal(kx_secret_load(&secret, path, &exposed, &err), KX_ERR_CONFIG);
    assert_null(strstr(err.text, "hunter2"));
    write_file(large, KX_SECRET_BYTES_MAX + 1, 0600);
    assert_int_equal(kx_secret_load(&secret, path, &exposed, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "longer"));
    assert_int_equal(kx_secret_load(&secret, folder, &exposed, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "directory"));
    assert_int_equal(kx_secret_load(&secret, "/proc/self/mem", &exposed, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "cannot read the secret file"));
    unlink(path);
    assert_int_equal(kx_secret_load(&secret, path, &exposed, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "No such file"));
    assert_non_null(strstr(err.text, path));

    assert_string_equal(kx_secret_reveal(&secret), "old"); /* through all of it */
    assert_string_equal(secret.file, path);
    assert_false(exposed);
    free(large);
    kx_secret_fini(&secret);
}

static void reloads(void **state)
{
    (void)state;
    struct kx_secret secret = {0};
    struct kx_error err = {0};
    assert_int_equal(kx_secret_reload(&secret, &err), KX_OK); /* nothing to read */
    write_file("one", 3, 0600);
    assert_int_equal(kx_secret_load(&secret, path, NULL, &err), KX_OK);
    write_file("two", 3, 0600);
    assert_string_equal(kx_secret_reveal(&secret), "one");
    assert_int_equal(kx_secret_reload(&secret, &err), KX_OK);
    assert_string_equal(kx_secret_reveal(&secret), "two");
    unlink(path);
    assert_int_equal(kx_secret_reload(&secret, &err), KX_ERR_CONFIG);
    assert_string_equal(kx_secret_reveal(&secret), "two");
    assert_string_equal(secret.file, path);
    kx_secret_fini(&secret);
}

/* `--kismet-api-key-file <(pass show kismet)` is a pipe. */
static void reads_a_pipe(void **state)
{
    (void)state;
    struct kx_secret secret = {0};
    struct kx_error err = {0};
    char name[32];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "piped\n", 6), 6);
    close(ends[1]);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
    if (kx_secret_load(&secret, name, NULL, &err) != KX_OK)
        fail_msg("%s", err.text);
    assert_string_equal(kx_secret_reveal(&secret), "piped");
    close(ends[0]);
    kx_secret_fini(&secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_and_reveal), cmocka_unit_test(refuses_values),
        cmocka_unit_test(loads_files),    cmocka_unit_test(refuses_files),
        cmocka_unit_test(reloads),        cmocka_unit_test(reads_a_pipe),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
