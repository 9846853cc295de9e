// What runs in the containers of tests: linked statically, so that an image needs nothing else. See `usage`.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
    "app serve [PORT]        HTTP on PORT (80): /  The host is NAME\n"
    "                        /probe  200, or what /answer?STATUS said last; /slow?SECONDS  before each later reply\n"
    "                        /exit?CODE  /abort  /eat  /spam?LINES  /env?NAME  /read?FILE  /append?FILE=LINE  /uid\n"
    "app wait                until TERM\n"
    "app ignore              for ever, whatever the signal\n"
    "app exit CODE           at once\n"
    "app sleep SECONDS       then 0\n"
    "app eat                 memory without end\n"
    "app fork                processes without end\n"
    "app spam                lines without end\n"
    "app say CODE WORD...    WORDs on standard output, then CODE\n"
    "app complain CODE WORD...   the same on standard error output\n"
    "app cat [FILE]          as cat\n"
    "app write FILE TEXT     TEXT and a line feed, appended\n"
    "app test FILE           0 if FILE is there\n"
    "app env NAME            its value\n"
    "app id                  uid:gid:other groups\n"
    "app get ADDRESS PORT PATH   the body of a reply over HTTP\n";

static int answer = 200, slow = 0;

static void leave(int signal) {
    static const char text[] = "terminated\n";
    (void)!write(1, text, sizeof text - 1);
    _exit(signal == SIGTERM ? 0 : 128 + signal);
}

static void eat(void) {
    for (;;) {
        char *piece = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (piece == MAP_FAILED) exit(3);
        memset(piece, 1, 1 << 20);
    }
}

static void spam(long lines) {
    for (long line = 0; lines < 0 || line < lines; line++)
        printf("line %ld ......................................................................\n", line);
    fflush(stdout);
}

static int append(const char *file, const char *text) {
    int out = open(file, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (out < 0 || dprintf(out, "%s\n", text) < 0 || fsync(out) < 0) {
        perror(file);
        return 1;
    }
    close(out);
    return 0;
}

static int copy(int in, int out) {
    char buffer[8192];
    ssize_t length;
    while ((length = read(in, buffer, sizeof buffer)) > 0)
        if (write(out, buffer, length) != length) return 1;
    return length < 0;
}

static void identity(FILE *out) {
    gid_t groups[64];
    int count = getgroups(64, groups), written = 0;
    fprintf(out, "%d:%d:", geteuid(), getegid());
    // Docker counts the first group among the others, Podman does not.
    for (int i = 0; i < count; i++)
        if (groups[i] != getegid()) fprintf(out, written++ ? ",%d" : "%d", groups[i]);
    fprintf(out, "\n");
}

static void head(int client, int status) {
    dprintf(client, "HTTP/1.0 %d Status\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n", status);
}

static void reply(int client, char *path) {
    char host[256] = "", *rest = strchr(path, '?');
    if (rest) *rest++ = 0;
    else rest = "";
    if (!strcmp(path, "/answer")) answer = atoi(rest);
    if (slow) sleep(slow);
    if (!strcmp(path, "/slow")) slow = atoi(rest);
    if (!strcmp(path, "/exit")) exit(atoi(rest));
    if (!strcmp(path, "/abort")) abort();
    if (!strcmp(path, "/eat")) eat();
    if (!strcmp(path, "/spam")) spam(atol(rest));
    head(client, !strcmp(path, "/probe") ? answer : 200);
    if (!strcmp(path, "/")) {
        gethostname(host, sizeof host - 1);
        dprintf(client, "The host is %s\n", host);
    } else if (!strcmp(path, "/env")) {
        dprintf(client, "%s\n", getenv(rest) ? getenv(rest) : "");
    } else if (!strcmp(path, "/uid")) {
        FILE *out = fdopen(dup(client), "w");
        identity(out);
        fclose(out);
    } else if (!strcmp(path, "/read")) {
        int in = open(rest, O_RDONLY);
        if (in < 0 || copy(in, client)) dprintf(client, "%s: %s\n", rest, strerror(errno));
        close(in);
    } else if (!strcmp(path, "/append") && strchr(rest, '=')) {
        char *text = strchr(rest, '=');
        *text++ = 0;
        dprintf(client, append(rest, text) ? "%s\n" : "ok\n", strerror(errno));
    } else {
        dprintf(client, "%s %d\n", path, answer);
    }
}

static int serve(int port) {
    int listener = socket(AF_INET6, SOCK_STREAM, 0), on = 1, off = 0;
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    void *address = &any;
    socklen_t length = sizeof any;
    if (listener < 0) {
        listener = socket(AF_INET, SOCK_STREAM, 0);
        address = &any4;
        length = sizeof any4;
    } else {
        setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, address, length) || listen(listener, 64)) {
        perror("listen");
        return 1;
    }
    printf("serving on port %d\n", port);
    fflush(stdout);
    for (;;) {
        int client = accept(listener, NULL, NULL);
        struct timeval limit = {.tv_sec = 5};
        char request[4096] = "", *end;
        size_t have = 0;
        ssize_t got;
        if (client < 0) continue;
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        while (have < sizeof request - 1 && !strstr(request, "\r\n\r\n")) {
            if ((got = read(client, request + have, sizeof request - 1 - have)) <= 0) break;
            request[have += got] = 0;
        }
        char *path = strchr(request, ' ');
        if (path && (end = strchr(++path, ' '))) {
            *end = 0;
            reply(client, path);
        }
        close(client);
    }
}

static int get(const char *address, int port, const char *path) {
    int stream = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || connect(stream, (void *)&to, sizeof to)) {
        perror(address);
        return 1;
    }
    dprintf(stream, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, address);
    FILE *in = fdopen(stream, "r");
    char line[4096];
    while (fgets(line, sizeof line, in) && strcmp(line, "\r\n"));
    while (fgets(line, sizeof line, in)) fputs(line, stdout);
    return 0;
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "serve", *first = count > 2 ? words[2] : "";
    signal(SIGPIPE, SIG_IGN);
    if (!strcmp(what, "ignore")) {
        for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
        for (;;) pause();
    }
    if (!strcmp(what, "serve") || !strcmp(what, "wait")) {
        // The first process of a container is not ended by a signal that it does not handle.
        for (int number = 1; number < 16; number++)
            if (number != SIGPIPE && number != SIGABRT && number != SIGSEGV) signal(number, leave);
        if (!strcmp(what, "serve")) return serve(*first ? atoi(first) : 80);
        for (;;) pause();
    }
    if (!strcmp(what, "exit")) return atoi(first);
    if (!strcmp(what, "sleep")) return sleep(atoi(first)), 0;
    if (!strcmp(what, "eat")) eat();
    if (!strcmp(what, "fork"))
        for (;;)
            if (fork() < 0) usleep(1000);
    if (!strcmp(what, "spam")) spam(-1);
    if (!strcmp(what, "say") || !strcmp(what, "complain")) {
        FILE *out = !strcmp(what, "say") ? stdout : stderr;
        for (int i = 3; i < count; i++) fprintf(out, i > 3 ? " %s" : "%s", words[i]);
        fprintf(out, "\n");
        return atoi(first);
    }
    if (!strcmp(what, "cat")) {
        int in = *first ? open(first, O_RDONLY) : 0;
        if (in >= 0 && !copy(in, 1)) return 0;
        perror(first);
        return 1;
    }
    if (!strcmp(what, "write") && count > 3) return append(first, words[3]);
    if (!strcmp(what, "test")) {
        struct stat found;
        return stat(first, &found) ? 1 : 0;
    }
    if (!strcmp(what, "env")) return getenv(first) ? puts(getenv(first)), 0 : 1;
    if (!strcmp(what, "id")) return identity(stdout), 0;
    if (!strcmp(what, "get") && count > 4) return get(first, atoi(words[3]), words[4]);
    fputs(usage, stderr);
    return 64;
}
