// How the server is set. All of it is given on the command line, so that this page, not a file in some data folder, is
// what holds, for old data too.
import { socketPort } from './socket.ts';

const settings: Readonly<Record<string, string>> = {
  // The only door is the socket.
  listen_addresses: '',
  port: String(socketPort),
  unix_socket_permissions: '0700',

  // What was acknowledged survives a crash.
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',

  // A small machine, its memory shared with the gateway. Shared buffers take memory only as they are used; parallel
  // queries would need more of /dev/shm than a container has.
  max_connections: '100',
  shared_buffers: '128MB',
  max_wal_size: '512MB', // bounds how long recovery takes
  max_parallel_workers_per_gather: '0',
  max_parallel_maintenance_workers: '0',
  io_method: 'sync', // three processes less
  jit: 'off',

  // The log tells of the server, never of the data. An ERROR can quote a value ("Key (email)=(…) already exists"), so
  // errors of statements are left out (they reach whoever sent the statement), and so are details.
  log_destination: 'stderr',
  logging_collector: 'off',
  log_line_prefix: '%m [%p] ',
  log_min_messages: 'log',
  log_error_verbosity: 'terse',
  log_min_error_statement: 'panic',
  log_statement: 'none',
  log_duration: 'off',
  log_min_duration_statement: '-1',
  log_min_duration_sample: '-1',
  log_parameter_max_length: '0',
  log_parameter_max_length_on_error: '0',
  log_autovacuum_min_duration: '-1',
  log_checkpoints: 'off',
  log_connections: '',
  log_disconnections: 'off',
  log_lock_waits: 'off',
  log_replication_commands: 'off',
  log_temp_files: '-1',

  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
  cluster_name: 'gatehouse', // shown by ps
};

/** `files`: tells these files from a copy of them, to the function `member_feed_place` of the migrations. */
export function serverArguments(cluster: string, socketFolder: string, files: string): string[] {
  // The setting is a list: quoted, a comma or a blank in the path is no separator.
  const folders = `"${socketFolder.replaceAll('"', '""')}"`;
  const all = Object.entries({ ...settings, unix_socket_directories: folders, 'gatehouse.place': files });
  return ['-D', cluster, ...all.flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}
