// The inside of a worker process: does what it is asked over the socket, one request at a time.
#pragma once

namespace nmlbench {

// Requests, by their "what"; an answer has "answer", or "error" and "no_memory".
//   load          libraries                                    the plugins, tried by the program before
//   split, trainable, noise_facts    plugin                    what planning asks of a plugin (plan/inspector.h)
//   plan          file, set, shard, answers, device, ...       plans the same matrix, told what plugins have answered
//   dim, noise, task-labels, job, bound, stack                 stages of the plan
// Log lines and progress go the same way, as messages with "event". Ends the process when the other side is gone.
[[noreturn]] void serve_worker(int socket);

}  // namespace nmlbench
