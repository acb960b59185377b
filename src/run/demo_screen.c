#include "nilai/run/demo_screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

enum { COLUMNS_DEFAULT = 80, ROWS_DEFAULT = 24, KEPT_BYTES_MAX = 64 * 1024, WRITE_WAIT_MS = 1000 };

/* Another page, no cursor, no wrapping at the right edge; and the way back. */
static const char enter_codes[] = "\033[?1049h\033[?25l\033[?7l\033[2J";
static const char leave_codes[] = "\033[0m\033[?7h\033[?25h\033[?1049l";

static const int crash_signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

/* A signal handler must reach it, hence static. `entered` is the last thing that enter sets and
 * the first that leave clears. */
static struct {
    volatile sig_atomic_t entered;
    bool has_keys; /* standard input is a terminal, whose settings are `before` */
    struct termios before;
    int error_output; /* the real standard error while ours is kept in memory; -1: it is not */
    int kept;
    uint32_t columns, rows; /* as they were drawn last; 0: not yet */
} screen = {.error_output = -1, .kept = -1};

bool nilai_demo_screen_is_there(void)
{
    const char *kind = getenv("TERM");
    return isatty(STDOUT_FILENO) && kind != NULL && kind[0] != '\0' && strcmp(kind, "dumb") != 0;
}

bool nilai_demo_screen_has_unicode(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"}; /* the first that is set */
    for (size_t i = 0; i < NILAI_ARRAY_LEN(names); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
    }
    return false;
}

bool nilai_demo_screen_has_colour(void)
{
    const char *refused = getenv("NO_COLOR");
    return refused == NULL || refused[0] == '\0';
}

/* ---- writing: only calls that a signal handler may make ---- */

static void write_all(int file, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(file, bytes, size);
        if (written >= 0) {
            bytes += written;
            size -= (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = file, .events = POLLOUT};
            if (poll(&wait, 1, WRITE_WAIT_MS) <= 0)
                return;
        } else if (errno != EINTR) {
            return; /* nobody looks any more */
        }
    }
}

/* The end of what was kept counts most. */
static void release_errors(void)
{
    char bytes[1024];
    if (screen.error_output < 0)
        return;
    dup2(screen.error_output, STDERR_FILENO);
    off_t size = lseek(screen.kept, 0, SEEK_END);
    off_t at = size > KEPT_BYTES_MAX ? size - KEPT_BYTES_MAX : 0;
    while (at < size) {
        ssize_t count = pread(screen.kept, bytes, sizeof bytes, at);
        if (count <= 0)
            break;
        write_all(STDERR_FILENO, bytes, (size_t)count);
        at += count;
    }
    close(screen.error_output);
    close(screen.kept);
    screen.error_output = screen.kept = -1;
}

void nilai_demo_screen_leave(void)
{
    if (!screen.entered)
        return;
    screen.entered = 0;
    write_all(STDOUT_FILENO, leave_codes, sizeof leave_codes - 1);
    if (screen.has_keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
    release_errors();
}

static void on_crash(int number)
{
    nilai_demo_screen_leave();
    raise(number); /* SA_RESETHAND: now the default */
}

/* ---- entering ---- */

static void keep_errors(void)
{
    if (!isatty(STDERR_FILENO))
        return;
    screen.kept = memfd_create("messages", MFD_CLOEXEC);
    if (screen.kept < 0)
        return;
    fflush(stderr);
    screen.error_output = dup(STDERR_FILENO);
    if (screen.error_output >= 0 && dup2(screen.kept, STDERR_FILENO) >= 0)
        return;
    close(screen.kept);
    screen.kept = -1;
}

static void take_keys(void)
{
    screen.has_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &screen.before) == 0;
    if (!screen.has_keys)
        return;
    struct termios raw = screen.before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0; /* a read never waits */
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

void nilai_demo_screen_enter(void)
{
    NILAI_ASSERT(!screen.entered);
    take_keys();
    keep_errors();
    screen.columns = screen.rows = 0;
    screen.entered = 1;
    for (size_t i = 0; i < NILAI_ARRAY_LEN(crash_signals); i++) {
        struct sigaction action = {.sa_handler = on_crash,
                                   .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
        sigaction(crash_signals[i], &action, NULL);
    }
    write_all(STDOUT_FILENO, enter_codes, sizeof enter_codes - 1);
}

/* ---- in use ---- */

void nilai_demo_screen_size(uint32_t *columns, uint32_t *rows)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        size = (struct winsize){0};
    *columns = size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
    *rows = size.ws_row > 0 ? size.ws_row : ROWS_DEFAULT;
}

/* In one write, over what is there, so that nothing flickers; after the size has changed, on an
 * empty page. (Erasing below the last line would take that line's last cell along.) */
void nilai_demo_screen_draw(const struct nilai_demo_lines *lines)
{
    static char page[NILAI_DEMO_ROWS_MAX * (NILAI_DEMO_LINE_SIZE + 16) + 16];
    uint32_t columns, rows;
    size_t used = 0;
    NILAI_ASSERT(screen.entered);
    nilai_demo_screen_size(&columns, &rows);
    if (columns != screen.columns || rows != screen.rows)
        used += (size_t)snprintf(page, sizeof page, "\033[2J");
    screen.columns = columns;
    screen.rows = rows;
    for (uint32_t line = 0; line < lines->count; line++)
        used += (size_t)snprintf(page + used, sizeof page - used, "\033[%u;1H\033[K%s", line + 1,
                                 lines->text[line]);
    NILAI_ASSERT(used < sizeof page);
    write_all(STDOUT_FILENO, page, used);
}

int nilai_demo_screen_key(void)
{
    unsigned char key;
    return screen.entered && screen.has_keys && read(STDIN_FILENO, &key, 1) == 1 ? key : 0;
}

int nilai_demo_screen_input(void)
{
    return screen.entered && screen.has_keys ? STDIN_FILENO : -1;
}
