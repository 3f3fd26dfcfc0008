/*
 * A container's network: a veth pair, of which one end is on the bridge, lo, an
 * address. It is asked for (an ARP probe), without a wait for answers, and
 * announced, so that who knew the last container by its MAC knows the new one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "limit.h"

#define OUTER "limit-outer"
#define INNER "limit-inner"
#define PREFIX 16

/* Requests, one behind the other, for one call. */
struct batch {
	char bytes[2048];
	size_t size;
	int count;
};

static void *put(struct batch *b, const void *data, size_t size) {
	void *at = b->bytes + b->size;
	if (data)
		memcpy(at, data, size);
	b->size += NLMSG_ALIGN(size);
	return at;
}

static struct nlmsghdr *request(struct batch *b, int type, int flags) {
	struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags, .nlmsg_seq = ++b->count};
	return put(b, &h, sizeof h);
}

static void done(struct batch *b, struct nlmsghdr *h) { h->nlmsg_len = b->bytes + b->size - (char *)h; }

static struct rtattr *attribute(struct batch *b, int type, const void *data, size_t size) {
	struct rtattr a = {.rta_type = type, .rta_len = RTA_LENGTH(size)};
	struct rtattr *at = put(b, &a, sizeof a);
	put(b, data, size);
	return at;
}

/* Ends an attribute that has others in it. */
static void nested(struct batch *b, struct rtattr *a) { a->rta_len = b->bytes + b->size - (char *)a; }

static void text(struct batch *b, int type, const char *value) { attribute(b, type, value, strlen(value) + 1); }

/* Sends them and takes the answers; an error that is allowed is none. */
static void ask(int fd, struct batch *b, int allowed) {
	char answer[4096];
	must(send(fd, b->bytes, b->size, 0), "netlink");
	while (b->count > 0) {
		int n = must(recv(fd, answer, sizeof answer, 0), "netlink");
		for (struct nlmsghdr *h = (void *)answer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			struct nlmsgerr *e = NLMSG_DATA(h);
			if (h->nlmsg_type == NLMSG_ERROR && e->error && e->error != -allowed) {
				errno = -e->error;
				must(-1, "a request to the network");
			}
			b->count--;
		}
	}
	memset(b, 0, sizeof *b);
}

static void up(struct batch *b, int index, int is) {
	struct ifinfomsg i = {.ifi_index = index, .ifi_flags = is ? IFF_UP : 0, .ifi_change = IFF_UP};
	struct nlmsghdr *h = request(b, RTM_NEWLINK, 0);
	put(b, &i, sizeof i);
	done(b, h);
}

/* Silences what the last container left, and makes room for the next; it goes
 * with its namespace. To remove it the kernel would wait for 10 to 20 ms. */
static void put_aside(int fd) {
	struct batch b = {0};
	struct ifinfomsg info = {.ifi_index = if_nametoindex(OUTER)};
	if (!info.ifi_index)
		return;
	up(&b, info.ifi_index, 0);
	struct nlmsghdr *h = request(&b, RTM_NEWLINK, 0);
	put(&b, &info, sizeof info);
	text(&b, IFLA_IFNAME, "limit-old%d");
	done(&b, h);
	ask(fd, &b, ENODEV);
}

static void make_pair(int fd, int bridge, int namespace, const uint8_t *mac) {
	struct batch b = {0};
	struct ifinfomsg outer = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, inner = {0};
	struct nlmsghdr *h = request(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	put(&b, &outer, sizeof outer);
	text(&b, IFLA_IFNAME, OUTER);
	attribute(&b, IFLA_MASTER, &bridge, sizeof bridge);
	struct rtattr *info = attribute(&b, IFLA_LINKINFO, NULL, 0);
	text(&b, IFLA_INFO_KIND, "veth");
	struct rtattr *data = attribute(&b, IFLA_INFO_DATA, NULL, 0);
	struct rtattr *peer = attribute(&b, VETH_INFO_PEER, NULL, 0);
	put(&b, &inner, sizeof inner);
	text(&b, IFLA_IFNAME, INNER);
	attribute(&b, IFLA_ADDRESS, mac, ETH_ALEN);
	attribute(&b, IFLA_NET_NS_FD, &namespace, sizeof namespace);
	nested(&b, peer);
	nested(&b, data);
	nested(&b, info);
	done(&b, h);
	ask(fd, &b, 0);
}

static void set_up_inner(int fd, int index, uint32_t address) {
	struct batch b = {0};
	struct ifaddrmsg a = {.ifa_family = AF_INET, .ifa_prefixlen = PREFIX, .ifa_index = index};
	up(&b, 1, 1); /* lo */
	struct nlmsghdr *h = request(&b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	put(&b, &a, sizeof a);
	attribute(&b, IFA_LOCAL, &address, sizeof address);
	done(&b, h);
	up(&b, index, 1);
	ask(fd, &b, 0);
}

struct arp {
	struct arphdr head;
	uint8_t from_mac[6], from[4], to_mac[6], to[4];
} __attribute__((packed));

/* Gives the socket: the kernel has who closes it wait, for 10 ms. */
static int claim(int index, uint32_t address, const uint8_t *mac) {
	struct sockaddr_ll all = {.sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_ARP), .sll_ifindex = index, .sll_halen = 6};
	struct arp p = {.head = {htons(ARPHRD_ETHER), htons(ETHERTYPE_IP), 6, 4, htons(ARPOP_REQUEST)}};
	int fd = must(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "packet socket");
	must(bind(fd, (void *)&all, sizeof all), "bind");
	memset(all.sll_addr, 0xff, 6);
	memcpy(p.from_mac, mac, 6);
	memcpy(p.to, &address, 4);
	must(sendto(fd, &p, sizeof p, 0, (void *)&all, sizeof all), "ARP probe");
	memcpy(p.from, &address, 4);
	must(sendto(fd, &p, sizeof p, 0, (void *)&all, sizeof all), "ARP announcement");
	return fd;
}

static int rtnetlink(void) { return must(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "netlink"); }

int connect_to_bridge(const struct network *n, int namespace) {
	static int outside, here, bridge;
	uint8_t mac[ETH_ALEN];
	uint32_t address;
	if (!outside) {
		outside = rtnetlink();
		here = must(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "network namespace");
		bridge = if_nametoindex(n->bridge);
		must(bridge ? 0 : -1, n->bridge);
	}
	must(inet_pton(AF_INET, n->address, &address) == 1 ? 0 : -1, n->address);
	must(getrandom(mac, sizeof mac, 0), "getrandom");
	mac[0] = (mac[0] & 0xfc) | 2; /* one of our own choice, of one interface */
	put_aside(outside);
	make_pair(outside, bridge, namespace, mac);
	must(setns(namespace, CLONE_NEWNET), "setns");
	int inside = rtnetlink(), index = if_nametoindex(INNER);
	must(index ? 0 : -1, INNER);
	set_up_inner(inside, index, address);
	int claimed = claim(index, address, mac);
	close(inside);
	must(setns(here, CLONE_NEWNET), "setns");
	return claimed;
}
