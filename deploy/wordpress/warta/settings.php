<?php
/**
 * Settings → Warta Pengadaan: the address, and every feed with its shortcode to copy.
 *
 * @package Warta
 */

defined( 'ABSPATH' ) || exit;

add_action( 'admin_menu', 'warta_add_page' );
add_action( 'admin_init', 'warta_add_setting' );
add_filter( 'plugin_action_links_' . plugin_basename( __DIR__ . '/warta.php' ), 'warta_add_link' );

function warta_add_page() {
	add_options_page( 'Warta Pengadaan', 'Warta Pengadaan', 'manage_options', 'warta', 'warta_show_page' );
}

function warta_add_setting() {
	$setting = array(
		'type'              => 'string',
		'default'           => '',
		'sanitize_callback' => 'warta_clean_address',
	);
	register_setting( 'warta', 'warta_url', $setting );
}

function warta_add_link( $links ) {
	$link = '<a href="' . esc_url( admin_url( 'options-general.php?page=warta' ) ) . '">' . esc_html( warta_admin( 'Pengaturan', 'Settings' ) ) . '</a>';
	return array_merge( array( $link ), $links );
}

/** The top of the published tree: people paste the address of some page below it. */
function warta_clean_address( $url ) {
	$url = esc_url_raw( trim( is_string( $url ) ? $url : '' ), array( 'http', 'https' ) );
	$url = preg_replace( '#[?\#].*$#', '', $url );
	// Whole steps of the path only: "/kabupaten/" holds "en/" too.
	$below = 'en/?|(?:en/)?(?:(?:feeds|embed|tenders|statistik|paket)/.*|[^/]+\.(?:html|js|json|opml|xml|css))';
	$url   = preg_replace( "#^(https?://[^/]+(?:/.*?)??)/(?:$below)$#", '$1/', $url );
	return '' === $url ? '' : trailingslashit( $url );
}

function warta_show_page() {
	$base  = warta_base();
	$feeds = warta_feeds();
	echo '<div class="wrap"><h1>Warta Pengadaan</h1><form action="options.php" method="post">';
	settings_fields( 'warta' );
	echo '<table class="form-table" role="presentation"><tr><th scope="row"><label for="warta_url">' . esc_html( warta_admin( 'Alamat Warta', 'Address of your Warta' ) ) . '</label></th><td>';
	printf(
		'<input id="warta_url" name="warta_url" type="url" class="regular-text code" value="%s" placeholder="https://warta.example.go.id/"%s>',
		esc_attr( $base ),
		defined( 'WARTA_URL' ) ? ' readonly' : ''
	);
	$hint = defined( 'WARTA_URL' ) ? warta_admin( 'Ditetapkan di wp-config.php (WARTA_URL).', 'Set in wp-config.php (WARTA_URL).' ) : warta_admin( 'Buka situs Warta Anda, salin alamatnya, tempel di sini.', 'Open your Warta site, copy its address, paste it here.' );
	echo '<p class="description">' . esc_html( $hint ) . '</p></td></tr></table>';
	if ( ! defined( 'WARTA_URL' ) ) {
		submit_button();
	}
	echo '</form>';
	if ( '' !== $base && ! $feeds ) {
		echo '<div class="notice notice-warning inline"><p>' . esc_html( warta_admin( 'Alamat ini belum menjawab sebagai Warta. Periksa alamatnya, lalu muat ulang halaman ini dua menit lagi.', 'This address does not answer as a Warta yet. Check it, then reload this page in two minutes.' ) ) . '</p></div>';
	}
	if ( $feeds ) {
		echo '<h2>' . esc_html( warta_admin( 'Salin shortcode ke halaman Anda', 'Copy a shortcode into your page' ) ) . '</h2>';
		echo '<table class="widefat striped"><tbody>';
		foreach ( $feeds as $feed ) {
			printf( '<tr><td>%s</td><td><code>[warta feed="%s" items="8"]</code></td></tr>', esc_html( $feed['title'] ), esc_html( $feed['id'] ) );
		}
		echo '</tbody></table>';
	}
	echo '</div>';
}

function warta_is_indonesian_admin() {
	return 0 === strpos( get_user_locale(), 'id' );
}

/** Words for whoever writes the pages, in the language of their account. */
function warta_admin( $indonesian, $english ) {
	return warta_is_indonesian_admin() ? $indonesian : $english;
}
