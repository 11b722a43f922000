/* What ends without freeing what it had until then leaks nothing; and a process that no other may look into cannot be
 * searched for leaks. */
const char *__asan_default_options(void) { return "detect_leaks=0"; }
