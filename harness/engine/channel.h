// Messages between the program and a worker process: CBOR with its length before it, over one socket.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace nmlbench {

// Throws Error when the other side is gone.
void send_message(int socket, const nlohmann::json& message);

// Puts messages together from what arrives.
class MessageReader {
 public:
  explicit MessageReader(int socket) : socket_(socket) {}

  // Waits for bytes and takes what is there; false when the other side is gone.
  bool receive();
  // The next whole message, when there is one.
  std::optional<nlohmann::json> next();

 private:
  int socket_;
  std::string bytes_;
};

}  // namespace nmlbench
