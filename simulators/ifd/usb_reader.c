/* A USB card reader without USB, for the real pcscd; one library in two roles.
 *
 * Preloaded into pcscd it stands in for libudev: the bus is the folder $CCS_USB_BUS, a device is a file in it, plugging
 * in is creating the file and unplugging is deleting it. pcscd's own hot-plug code does the rest.
 * As that device's driver it forwards every call to a vpcd driver ($CCS_USB_VPCD, first port $CCS_USB_PORT), and
 * answers as a reader without its cable once the file is gone.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <ifdhandler.h>

#define DEVICES_MAX 16

struct udev_device { char path[512]; const char *action; };
struct udev_list_entry { char path[512]; struct udev_list_entry *next; };
struct udev_enumerate { int count; struct udev_list_entry entries[DEVICES_MAX]; };
struct udev_monitor { int fd; };
struct udev { int unused; };

static const char *setting(const char *name)
{
	const char *value = getenv(name);
	return value ? value : "";
}

struct udev *udev_new(void) { return calloc(1, sizeof(struct udev)); }
struct udev *udev_unref(struct udev *udev) { free(udev); return NULL; }

static struct udev_device *device(const char *path, const char *action)
{
	struct udev_device *made = calloc(1, sizeof *made);
	snprintf(made->path, sizeof made->path, "%s", path);
	made->action = action;
	return made;
}

struct udev_device *udev_device_new_from_syspath(struct udev *udev, const char *path)
{
	(void)udev;
	return device(path, NULL);
}

struct udev_device *udev_device_unref(struct udev_device *dev) { free(dev); return NULL; }
const char *udev_device_get_action(struct udev_device *dev) { return dev->action; }
const char *udev_device_get_devnode(struct udev_device *dev) { return dev->path; }
const char *udev_device_get_sysname(struct udev_device *dev) { return strrchr(dev->path, '/') + 1; }

/* The interface and its device are one here. */
struct udev_device *udev_device_get_parent_with_subsystem_devtype(struct udev_device *dev, const char *s, const char *t)
{
	(void)s; (void)t;
	return dev;
}

const char *udev_device_get_sysattr_value(struct udev_device *dev, const char *name)
{
	(void)dev;
	if (strcmp(name, "idVendor") == 0) return "cc5e";
	if (strcmp(name, "idProduct") == 0) return "0001";
	return strcmp(name, "bInterfaceNumber") == 0 ? "00" : NULL;
}

struct udev_enumerate *udev_enumerate_new(struct udev *udev) { (void)udev; return calloc(1, sizeof(struct udev_enumerate)); }
struct udev_enumerate *udev_enumerate_unref(struct udev_enumerate *found) { free(found); return NULL; }
int udev_enumerate_add_match_subsystem(struct udev_enumerate *found, const char *s) { (void)found; (void)s; return 0; }

int udev_enumerate_scan_devices(struct udev_enumerate *found)
{
	DIR *bus = opendir(setting("CCS_USB_BUS"));
	struct dirent *file;

	while (bus && (file = readdir(bus)) && found->count < DEVICES_MAX) {
		struct udev_list_entry *entry = &found->entries[found->count];
		if (file->d_name[0] == '.')
			continue;
		snprintf(entry->path, sizeof entry->path, "%s/%.250s", setting("CCS_USB_BUS"), file->d_name);
		if (found->count++)
			entry[-1].next = entry;
	}
	if (bus)
		closedir(bus);
	return 0;
}

struct udev_list_entry *udev_enumerate_get_list_entry(struct udev_enumerate *found)
{
	return found->count ? found->entries : NULL;
}

struct udev_list_entry *udev_list_entry_get_next(struct udev_list_entry *entry) { return entry->next; }
const char *udev_list_entry_get_name(struct udev_list_entry *entry) { return entry->path; }

struct udev_monitor *udev_monitor_new_from_netlink(struct udev *udev, const char *name)
{
	struct udev_monitor *monitor = calloc(1, sizeof *monitor);

	(void)udev; (void)name;
	monitor->fd = inotify_init1(IN_CLOEXEC);
	inotify_add_watch(monitor->fd, setting("CCS_USB_BUS"), IN_CREATE | IN_DELETE);
	return monitor;
}

int udev_monitor_filter_add_match_subsystem_devtype(struct udev_monitor *m, const char *s, const char *t)
{
	(void)m; (void)s; (void)t;
	return 0;
}

int udev_monitor_enable_receiving(struct udev_monitor *monitor) { return monitor->fd < 0; }
int udev_monitor_get_fd(struct udev_monitor *monitor) { return monitor->fd; }

struct udev_device *udev_monitor_receive_device(struct udev_monitor *monitor)
{
	char buffer[sizeof(struct inotify_event) + 256] __attribute__((aligned(8)));
	struct inotify_event *event = (struct inotify_event *)buffer;
	char path[512];

	if (read(monitor->fd, buffer, sizeof buffer) <= 0)
		return NULL;
	snprintf(path, sizeof path, "%s/%.250s", setting("CCS_USB_BUS"), event->name);
	return device(path, event->mask & IN_CREATE ? "add" : "remove");
}

static void *vpcd(const char *name)
{
	static void *library;

	if (library == NULL)
		library = dlopen(setting("CCS_USB_VPCD"), RTLD_NOW | RTLD_LOCAL);
	return library ? dlsym(library, name) : NULL;
}

static int unplugged(void)
{
	char path[512];

	snprintf(path, sizeof path, "%s/reader", setting("CCS_USB_BUS"));
	return access(path, F_OK) != 0;
}

#define FORWARD(name, parameters, arguments) \
	RESPONSECODE name parameters \
	{ \
		RESPONSECODE (*real) parameters = (RESPONSECODE (*) parameters)vpcd(#name); \
		if (real == NULL || unplugged()) \
			return IFD_COMMUNICATION_ERROR; \
		return real arguments; \
	}

FORWARD(IFDHCreateChannel, (DWORD lun, DWORD channel), (lun, channel))
FORWARD(IFDHGetCapabilities, (DWORD lun, DWORD tag, PDWORD length, PUCHAR value), (lun, tag, length, value))
FORWARD(IFDHSetCapabilities, (DWORD lun, DWORD tag, DWORD length, PUCHAR value), (lun, tag, length, value))
FORWARD(IFDHSetProtocolParameters, (DWORD lun, DWORD protocol, UCHAR flags, UCHAR p1, UCHAR p2, UCHAR p3),
	(lun, protocol, flags, p1, p2, p3))
FORWARD(IFDHPowerICC, (DWORD lun, DWORD action, PUCHAR atr, PDWORD length), (lun, action, atr, length))
FORWARD(IFDHTransmitToICC, (DWORD lun, SCARD_IO_HEADER send, PUCHAR tx, DWORD txlen, PUCHAR rx, PDWORD rxlen,
	PSCARD_IO_HEADER receive), (lun, send, tx, txlen, rx, rxlen, receive))
FORWARD(IFDHControl, (DWORD lun, DWORD code, PUCHAR tx, DWORD txlen, PUCHAR rx, DWORD rxlen, LPDWORD returned),
	(lun, code, tx, txlen, rx, rxlen, returned))
FORWARD(IFDHICCPresence, (DWORD lun), (lun))

RESPONSECODE IFDHCreateChannelByName(DWORD lun, LPSTR name)
{
	(void)name;
	return IFDHCreateChannel(lun, (DWORD)atol(setting("CCS_USB_PORT")));
}

/* Closing must reach vpcd even without the cable, or its port stays taken. */
RESPONSECODE IFDHCloseChannel(DWORD lun)
{
	RESPONSECODE (*real)(DWORD) = (RESPONSECODE (*)(DWORD))vpcd("IFDHCloseChannel");

	return real ? real(lun) : IFD_COMMUNICATION_ERROR;
}
