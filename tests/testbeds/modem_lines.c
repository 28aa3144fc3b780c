/* Preloaded into a program that opens a serial port: pseudo-terminals have modem lines, as a real
 * port has, keep the parity that they are set to, and can be locked. Each change of DTR or RTS goes
 * to the FIFO that $EF_MODEM_LINES names, as "DTR RTS\n" of 0 and 1. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#define MOST 1024
#define FIRST_PTY 136u /* majors of /dev/pts, in Linux's list of devices */
#define LAST_PTY 143u

static int lines = TIOCM_DTR | TIOCM_RTS;
static struct {
    int known;
    tcflag_t cflag;
} set[MOST];

static int is_pty(int fd) {
    struct stat s;
    return fd >= 0 && fd < MOST && fstat(fd, &s) == 0 && S_ISCHR(s.st_mode) &&
           major(s.st_rdev) >= FIRST_PTY && major(s.st_rdev) <= LAST_PTY;
}

static void change(int to) {
    static int fifo = -1;
    const char *path = getenv("EF_MODEM_LINES");
    if (to == lines) {
        return;
    }
    lines = to;
    if (fifo < 0 && path != NULL) {
        fifo = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    }
    if (fifo >= 0) {
        dprintf(fifo, "%d %d\n", (to & TIOCM_DTR) != 0, (to & TIOCM_RTS) != 0);
    }
}

int ioctl(int fd, unsigned long request, ...) {
    int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    va_list arguments;
    va_start(arguments, request);
    int *value = va_arg(arguments, int *);
    va_end(arguments);
    if (is_pty(fd)) {
        switch (request) {
        case TIOCMGET:
            *value = lines | TIOCM_CTS | TIOCM_DSR | TIOCM_CAR;
            return 0;
        case TIOCMSET:
            change(*value);
            return 0;
        case TIOCMBIS:
            change(lines | *value);
            return 0;
        case TIOCMBIC:
            change(lines & ~*value);
            return 0;
        default:
            break;
        }
    }
    return real(fd, request, value);
}

int tcsetattr(int fd, int when, const struct termios *to) {
    int (*real)(int, int, const struct termios *) = dlsym(RTLD_NEXT, "tcsetattr");
    int result = real(fd, when, to);
    if (result == 0 && is_pty(fd)) {
        set[fd].known = 1;
        set[fd].cflag = to->c_cflag;
    }
    return result;
}

int tcgetattr(int fd, struct termios *now) {
    int (*real)(int, struct termios *) = dlsym(RTLD_NEXT, "tcgetattr");
    int result = real(fd, now);
    if (result == 0 && is_pty(fd) && set[fd].known) {
        now->c_cflag = set[fd].cflag;
    }
    return result;
}
