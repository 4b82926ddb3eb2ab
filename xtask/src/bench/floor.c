/* The floor of `xtask bench delivery`: what the kernel alone costs. One thread, one epoll, and the same answer of about
   2 KB to every request, without looking at what was asked.

   floor PORT BODY_BYTES */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(const char *what) {
    perror(what);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: floor PORT BODY_BYTES\n", stderr);
        return 2;
    }
    size_t body = strtoul(argv[2], NULL, 10);
    char *answer = malloc(body + 512);
    if (answer == NULL) return fail("malloc");
    int head = snprintf(answer, 512,
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n"
                        "cache-control: public, max-age=0, must-revalidate\r\n"
                        "etag: \"0123456789abcdef0123456789abcdef\"\r\n\r\n",
                        body);
    memset(answer + head, 'x', body);
    size_t length = (size_t)head + body;

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) return fail("bind");
    if (listen(listener, 1024) < 0) return fail("listen");
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) < 0) return fail("epoll_ctl");

    struct epoll_event events[256];
    char request[16384];
    for (;;) {
        int count = epoll_wait(poll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (accepted < 0) continue;
                setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                event.data.fd = accepted;
                epoll_ctl(poll, EPOLL_CTL_ADD, accepted, &event);
                continue;
            }
            /* A load generator sends one whole request at a time and takes its answer before the next. */
            ssize_t got = recv(fd, request, sizeof request, 0);
            if (got > 0 && send(fd, answer, length, MSG_NOSIGNAL) == (ssize_t)length) continue;
            if (got < 0 && errno == EAGAIN) continue;
            close(fd);
        }
    }
}
