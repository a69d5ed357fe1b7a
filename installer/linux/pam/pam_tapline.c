/*
 * pam_tapline: asks the agent of this station whether an account may be used now, that is, whether somebody has tapped a badge.
 *
 *   auth [success=done auth_err=die default=ignore] pam_tapline.so [socket=/run/tapline/pam.sock]
 *
 * PAM_SUCCESS: somebody is there, or an emergency is open. PAM_AUTH_ERR: nobody is. PAM_IGNORE: the account is not one that this station
 * guards. PAM_AUTHINFO_UNAVAIL: the agent is away, does not answer within two seconds, or does not guard sign-ins in its mode: the stack
 * then goes on to the password, so that an agent that is down never keeps anybody from the station.
 *
 * One line goes each way: "authorize ACCOUNT SERVICE", and a word. It keeps nothing, starts nothing and never sees a password.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PAM_SM_AUTH
#include <security/pam_ext.h>
#include <security/pam_modules.h>

#define SOCKET "/run/tapline/pam.sock"

/* is_word keeps the line one line: no space or control character can break the line. */
static int is_word(const char *s) {
	if (s == NULL || *s == '\0' || strlen(s) > 100)
		return 0;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return 0;
	return 1;
}

static int dial(const char *path) {
	struct sockaddr_un where = {.sun_family = AF_UNIX};
	struct timeval within = {.tv_sec = 2};
	int fd;

	if (strlen(path) >= sizeof where.sun_path)
		return -1;
	strcpy(where.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &within, sizeof within) != 0 ||
	    connect(fd, (struct sockaddr *)&where, sizeof where) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ask writes the answer, without its line break, and is 0 if there is one. */
static int ask(const char *path, const char *account, const char *service, char *answer, size_t size) {
	char line[256];
	size_t got = 0;
	ssize_t n;
	int length, fd = dial(path);

	if (fd < 0)
		return -1;
	length = snprintf(line, sizeof line, "authorize %s %s\n", account, service);
	if (length < 0 || length >= (int)sizeof line || send(fd, line, (size_t)length, MSG_NOSIGNAL) != length) {
		close(fd);
		return -1;
	}
	while (got + 1 < size && (n = recv(fd, answer + got, size - 1 - got, 0)) > 0)
		got += (size_t)n;
	close(fd);
	answer[got] = '\0';
	if (got == 0 || answer[got - 1] != '\n')
		return -1;
	answer[got - 1] = '\0';
	return 0;
}

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv) {
	const char *path = SOCKET, *account = NULL;
	const void *service = NULL;
	char answer[32];
	int i;

	for (i = 0; i < argc; i++)
		if (strncmp(argv[i], "socket=", 7) == 0)
			path = argv[i] + 7;
	if (pam_get_user(pamh, &account, NULL) != PAM_SUCCESS || pam_get_item(pamh, PAM_SERVICE, &service) != PAM_SUCCESS)
		return PAM_AUTHINFO_UNAVAIL;
	if (!is_word(account) || !is_word(service))
		return PAM_IGNORE;
	if (ask(path, account, service, answer, sizeof answer) != 0)
		return PAM_AUTHINFO_UNAVAIL;
	if (strcmp(answer, "allowed") == 0)
		return PAM_SUCCESS;
	if (strcmp(answer, "ignore") == 0)
		return PAM_IGNORE;
	if (strcmp(answer, "refused") != 0)
		return PAM_AUTHINFO_UNAVAIL;
	if (!(flags & PAM_SILENT))
		pam_info(pamh, "Tap your badge");
	return PAM_AUTH_ERR;
}

int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv) {
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_SUCCESS;
}
