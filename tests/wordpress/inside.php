<?php
// php inside.php FOLDER < code: runs PHP inside the WordPress in FOLDER, without a browser, and prints what it returns.
$_SERVER['HTTP_HOST']       = parse_url( getenv( 'WARTA_TEST_HOME' ), PHP_URL_HOST ) . ':' . parse_url( getenv( 'WARTA_TEST_HOME' ), PHP_URL_PORT );
$_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1';
$_SERVER['REQUEST_METHOD']  = 'GET';
$_SERVER['REQUEST_URI']     = '/';
if ( getenv( 'WARTA_TEST_INSTALL' ) ) {
	define( 'WP_INSTALLING', true );
}
require $argv[1] . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
require_once ABSPATH . 'wp-admin/includes/plugin.php';
echo wp_json_encode( eval( stream_get_contents( STDIN ) ) );
