/* A CUDA driver of one GPU without a GPU: checks what it is given, and runs copies when waited for.

Each call that a real driver would refuse, or would crash on, adds a line to `stub_wrong`. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX 64
#define CONTEXT ((void *)0xABC0)
#define GRAPH ((void *)0x9000)
#define EXECUTABLE ((void *)0x9100)
typedef struct { void *to; const void *from; size_t size; } Copy;
typedef struct { char *start; size_t size; } Block;

static char wrong[1024];
static void *stack[MAX];
static int depth, references, streams, events, graphs, executables, capturing;
static Block device[MAX], pinned[MAX];
static Copy queue[MAX], recorded[MAX];
static int queued, recorded_count, marked = -1;

const char *stub_wrong(void) { return wrong; }
int stub_depth(void) { return depth; }
int stub_left(void) { /* what was made and not freed */
  int left = references + streams + events + graphs + executables;
  for (int i = 0; i < MAX; i++) left += (device[i].start != 0) + (pinned[i].start != 0);
  return left;
}
static int refuse(const char *why, int code) {
  strncat(wrong, why, sizeof wrong - strlen(wrong) - 2);
  strcat(wrong, ";");
  return code;
}
#define NEED(condition, why, code) if (!(condition)) return refuse(why, code)
#define CURRENT(name) NEED(depth > 0, name " without a current context", 201)
#define STREAM(s, name) NEED(streams == 1 && (s) == (void *)0x5000, name " of another stream", 400)

static int within(Block *blocks, const void *at, size_t size) {
  for (int i = 0; i < MAX; i++)
    if (blocks[i].start && (char *)at >= blocks[i].start &&
        (char *)at + size <= blocks[i].start + blocks[i].size)
      return 1;
  return 0;
}
static void *take(Block *blocks, size_t size) {
  for (int i = 0; i < MAX; i++)
    if (!blocks[i].start) {
      blocks[i] = (Block){calloc(1, size), size};
      return blocks[i].start;
    }
  abort();
}
static int give(Block *blocks, void *at) {
  for (int i = 0; i < MAX; i++)
    if (at && blocks[i].start == at) {
      free(at);
      blocks[i].start = 0;
      return 0;
    }
  return refuse("freeing what was not allocated", 1);
}
static void run_until(int end) {
  for (int i = 0; i < end; i++) memcpy(queue[i].to, queue[i].from, queue[i].size);
  memmove(queue, queue + end, (queued - end) * sizeof(Copy));
  queued -= end;
}
static int copy(void *to, const void *from, size_t size) {
  Copy one = {to, from, size};
  if (capturing) recorded[recorded_count++] = one;
  else queue[queued++] = one;
  return 0;
}

int cuInit(unsigned flags) { return flags ? refuse("cuInit flags", 1) : 0; }
int cuDriverGetVersion(int *version) { *version = 12060; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int gpu) {
  NEED(gpu == 0, "another GPU", 101);
  references++;
  *context = CONTEXT;
  return 0;
}
int cuDevicePrimaryCtxRelease_v2(int gpu) { references--; return gpu; }
int cuCtxPushCurrent_v2(void *context) {
  NEED(context == CONTEXT && references > 0, "pushing no context", 201);
  stack[depth++] = context;
  return 0;
}
int cuCtxPopCurrent_v2(void **context) {
  CURRENT("pop");
  *context = stack[--depth];
  return 0;
}
int cuCtxGetCurrent(void **context) { *context = depth ? stack[depth - 1] : 0; return 0; }
int cuStreamCreate(void **stream, unsigned flags) {
  CURRENT("cuStreamCreate");
  NEED(flags == 1, "the stream blocks", 1);
  streams++;
  *stream = (void *)0x5000;
  return 0;
}
int cuStreamDestroy_v2(void *stream) {
  CURRENT("cuStreamDestroy");
  STREAM(stream, "cuStreamDestroy");
  streams--;
  return 0;
}
int cuEventCreate(void **event, unsigned flags) {
  CURRENT("cuEventCreate");
  NEED(flags & 1, "waiting for the event spins", 1);
  events++;
  *event = (void *)0x6000;
  return 0;
}
int cuEventDestroy_v2(void *event) {
  CURRENT("cuEventDestroy");
  NEED(event == (void *)0x6000, "no event", 400);
  events--;
  return 0;
}
int cuEventRecord(void *event, void *stream) {
  CURRENT("cuEventRecord");
  STREAM(stream, "cuEventRecord");
  NEED(event == (void *)0x6000, "no event", 400);
  marked = queued;
  return 0;
}
int cuEventSynchronize(void *event) {
  CURRENT("cuEventSynchronize");
  NEED(event == (void *)0x6000 && marked >= 0, "waiting for what was not recorded", 400);
  NEED(!capturing, "waiting in a capture", 900);
  run_until(marked);
  marked = -1;
  return 0;
}
int cuMemHostAlloc(void **at, size_t size, unsigned flags) {
  CURRENT("cuMemHostAlloc");
  *at = take(pinned, size);
  return (int)flags;
}
int cuMemFreeHost(void *at) { CURRENT("cuMemFreeHost"); return give(pinned, at); }
int cuMemAlloc_v2(uintptr_t *at, size_t size) {
  CURRENT("cuMemAlloc");
  *at = (uintptr_t)take(device, size);
  return 0;
}
int cuMemFree_v2(uintptr_t at) { CURRENT("cuMemFree"); return give(device, (void *)at); }
int cuMemcpyHtoDAsync_v2(uintptr_t to, const void *from, size_t size, void *stream) {
  CURRENT("copying to the GPU");
  STREAM(stream, "copying to the GPU");
  NEED(within(device, (void *)to, size), "copying to outside of the GPU's memory", 1);
  NEED(within(pinned, from, size), "copying from memory that is not pinned", 1);
  return copy((void *)to, from, size);
}
int cuMemcpyDtoHAsync_v2(void *to, uintptr_t from, size_t size, void *stream) {
  CURRENT("copying from the GPU");
  STREAM(stream, "copying from the GPU");
  NEED(within(pinned, to, size), "copying to memory that is not pinned", 1);
  NEED(within(device, (void *)from, size), "copying from outside of the GPU's memory", 1);
  return copy(to, (void *)from, size);
}
int cuStreamBeginCapture_v2(void *stream, int mode) {
  CURRENT("cuStreamBeginCapture");
  STREAM(stream, "cuStreamBeginCapture");
  NEED(mode == 1, "the capture is not of this thread", 1);
  capturing = 1;
  recorded_count = 0;
  return 0;
}
int cuStreamEndCapture(void *stream, void **graph) {
  STREAM(stream, "cuStreamEndCapture");
  NEED(capturing, "nothing is captured", 901);
  capturing = 0;
  graphs++;
  *graph = GRAPH;
  return 0;
}
int cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
  CURRENT("cuGraphInstantiate");
  NEED(graph == GRAPH && graphs > 0 && !flags, "cuGraphInstantiate of no graph", 1);
  executables++;
  *executable = EXECUTABLE;
  return 0;
}
int cuGraphLaunch(void *executable, void *stream) {
  CURRENT("cuGraphLaunch");
  STREAM(stream, "cuGraphLaunch");
  NEED(executable == EXECUTABLE && executables > 0, "cuGraphLaunch of no graph", 400);
  for (int i = 0; i < recorded_count; i++) queue[queued++] = recorded[i];
  return 0;
}
int cuGraphExecDestroy(void *executable) {
  CURRENT("cuGraphExecDestroy");
  NEED(executable == EXECUTABLE && executables > 0, "cuGraphExecDestroy of no graph", 400);
  executables--;
  return 0;
}
int cuGraphDestroy(void *graph) {
  NEED(graph == GRAPH && graphs > 0, "cuGraphDestroy of no graph", 400);
  graphs--;
  return 0;
}
int cuGetProcAddress_v2(const char *name, void **at, int version, uint64_t flags, int *status) {
  const char *endings[] = {"_v2", "", "WithFlags"};
  void *self = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
  char full[256];
  *at = 0;
  for (int i = 0; i < 3 && !*at; i++) {
    snprintf(full, sizeof full, "%s%s", name, endings[i]);
    *at = dlsym(self, full);
  }
  if (status) *status = *at ? 0 : 1;
  return *at ? 0 : 500;
}
