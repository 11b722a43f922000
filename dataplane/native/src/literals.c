#include "literals.h"

#include <arpa/inet.h>
#include <elf.h>
#include <link.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)
enum { jump_slot = R_X86_64_JUMP_SLOT, global_data = R_X86_64_GLOB_DAT };
#elif defined(__aarch64__)
enum { jump_slot = R_AARCH64_JUMP_SLOT, global_data = R_AARCH64_GLOB_DAT };
#else
#error "which relocations are imports is not known for this processor"
#endif

static bool is_literal(const char *name) {
  unsigned char address[sizeof(struct in6_addr)];
  return name != NULL && (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1);
}

static int resolve(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **results) {
  struct addrinfo either;
  if (hints != NULL && is_literal(name)) {
    either = *hints;
    either.ai_flags &= ~AI_ADDRCONFIG;
    hints = &either;
  }
  return getaddrinfo(name, service, hints, results);
}

/* What the dynamic section of a loaded object says of its imports. */
struct imports {
  const ElfW(Rela) *tables[2];
  size_t bytes[2];
  const ElfW(Sym) *symbols;
  const char *strings;
};

/* glibc has made such entries addresses, musl leaves them relative. */
static const void *address_of(ElfW(Addr) base, ElfW(Addr) entry) {
  return (const void *)(entry < base ? base + entry : entry);
}

static struct imports read_imports(ElfW(Addr) base, const ElfW(Dyn) *dynamic) {
  struct imports imports = {0};
  for (; dynamic->d_tag != DT_NULL; dynamic++) {
    if (dynamic->d_tag == DT_JMPREL) imports.tables[0] = address_of(base, dynamic->d_un.d_ptr);
    if (dynamic->d_tag == DT_PLTRELSZ) imports.bytes[0] = dynamic->d_un.d_val;
    if (dynamic->d_tag == DT_RELA) imports.tables[1] = address_of(base, dynamic->d_un.d_ptr);
    if (dynamic->d_tag == DT_RELASZ) imports.bytes[1] = dynamic->d_un.d_val;
    if (dynamic->d_tag == DT_SYMTAB) imports.symbols = address_of(base, dynamic->d_un.d_ptr);
    if (dynamic->d_tag == DT_STRTAB) imports.strings = address_of(base, dynamic->d_un.d_ptr);
  }
  return imports;
}

/* The slot that the object's calls of `name` go through, or NULL. */
static void **find_slot(ElfW(Addr) base, const struct imports *imports, const char *name) {
  if (imports->symbols == NULL || imports->strings == NULL) return NULL;
  for (int table = 0; table < 2; table++) {
    if (imports->tables[table] == NULL) continue;
    for (size_t i = 0; i < imports->bytes[table] / sizeof(ElfW(Rela)); i++) {
      const ElfW(Rela) *import = imports->tables[table] + i;
      uint32_t type = ELF64_R_TYPE(import->r_info);
      if (type != jump_slot && type != global_data) continue;
      const ElfW(Sym) *symbol = imports->symbols + ELF64_R_SYM(import->r_info);
      if (strcmp(imports->strings + symbol->st_name, name) == 0) return (void **)(base + import->r_offset);
    }
  }
  return NULL;
}

/* Whether the loader made the slot read-only when it had filled it. */
static bool is_protected(const struct dl_phdr_info *object, const void *slot) {
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = object->dlpi_phdr + i;
    uintptr_t begin = object->dlpi_addr + header->p_vaddr;
    if (header->p_type == PT_GNU_RELRO && (uintptr_t)slot - begin < header->p_memsz) return true;
  }
  return false;
}

static bool fill(const struct dl_phdr_info *object, void **slot, void *target) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  void *begin = (void *)((uintptr_t)slot & ~(uintptr_t)(page - 1));
  bool locked = is_protected(object, slot);
  if (locked && mprotect(begin, page, PROT_READ | PROT_WRITE) != 0) return false;
  __atomic_store_n(slot, target, __ATOMIC_RELEASE);
  if (locked) mprotect(begin, page, PROT_READ);
  return true;
}

struct search {
  const char *library;
  bool done;
};

static int visit(struct dl_phdr_info *object, size_t size, void *context) {
  struct search *search = context;
  const char *slash = strrchr(object->dlpi_name, '/');
  (void)size;
  if (slash == NULL || strcmp(slash + 1, search->library) != 0) return 0;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = object->dlpi_phdr + i;
    if (header->p_type != PT_DYNAMIC) continue;
    struct imports imports = read_imports(object->dlpi_addr, (const void *)(object->dlpi_addr + header->p_vaddr));
    void **slot = find_slot(object->dlpi_addr, &imports, "getaddrinfo");
    if (slot != NULL) search->done = fill(object, slot, (void *)resolve);
  }
  return 1;
}

bool literals_admit(const char *library) {
  struct search search = {.library = library};
  dl_iterate_phdr(visit, &search);
  return search.done;
}
